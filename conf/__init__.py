"""What is allowed: the policy language, from its text to absolute opening times.

Imports nothing of the other rooms. ``files``, ``intervals`` and ``lookup`` are read at every
login and import nothing beyond ``os``-like modules; everything else here may be slow.
"""
