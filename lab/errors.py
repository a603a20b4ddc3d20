"""What can go wrong in the lab."""

from __future__ import annotations


class LabError(Exception):
    """The lab can't do what was asked; the message says what is the matter and what helps."""


class LabBusy(LabError):
    """Another lab is up on this machine: its VTs are shared, so there is one lab at a time."""


class LabTimeout(LabError):
    """Something that was waited for didn't come in time; the message holds what was seen last."""
