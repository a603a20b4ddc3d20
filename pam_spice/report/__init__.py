"""The admin's page about a span of time: what the journal tells of who could reach what, who used
it, and what was refused, changed and put right. Gathering (``sudolog``, ``sessions``, ``facts``)
and drawing (``page``, ``tables``, ``clock``) are pure; ``pam_spice.verbs.report`` asks the
machine."""
