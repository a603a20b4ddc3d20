"""Third-party modules, for the programs that start without them."""

import sys


def allow_third_party_modules() -> None:
    """Put the system's package directories on the path: ``python3 -S`` leaves them out, because
    looking through them takes 6 ms, and only an edit or a cut needs them at login."""
    if sys.flags.no_site:
        import site

        site.main()
