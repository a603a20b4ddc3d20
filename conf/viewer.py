"""The one command line with which a console is opened; sudoers and launcher both take it here.

On the login path: imports nothing.
"""

VIEWER = "/usr/bin/remote-viewer"
CONFINER = "/usr/lib/pam-spice/viewer"
"""What sudo starts: ``launcher.confine``, which becomes the viewer."""

VIEWER_GROUP = "spicegrp"


def viewer_command(console: str, host: str, port: int, ca_file: str) -> list[str]:
    """With remote-viewer's arguments: TLS only, the server's certificate checked against its own
    CA, and the console's name as the window's title, which else is the address with its port."""
    return [CONFINER, f"--spice-ca-file={ca_file}", f"--title={console}", "--",
            f"spice://{host}?tls-port={port:d}"]
