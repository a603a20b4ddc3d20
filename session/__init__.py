"""Who is here: logind's sessions, which of them count, and our records of them in /run.

On the login path: nothing here imports more than ``os``-like modules.
"""
