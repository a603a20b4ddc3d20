"""``python3 -m pam_spice`` in a checkout is ``pam-spice`` on a workstation."""

import sys

from pam_spice.cli import main

sys.exit(main())
