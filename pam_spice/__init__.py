"""What is done about it, as root: one function from what should be to what is.

``hook``, ``reconcile``, ``desired``, ``run``, ``journal`` and ``firewall.nft`` are on the login
path: they import neither yaml, pyroute2, json, re, enum, dataclasses nor any CLI library.
"""
