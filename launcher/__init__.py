"""What a person runs: ``spice-open``. As the user, and trusted by nothing: the walls are the
kernel and sudo; this tells a person what they will say, and when the next time is.

A person waits until sudo is started, so nothing slow is imported until then: ``argparse`` takes
8 ms, ``dataclasses`` 8, ``re`` 6, ``enum`` 4, ``typing`` and ``datetime`` 2 each. What only other
calls or later moments need is imported there.
"""
