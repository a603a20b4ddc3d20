"""The one command line with which a console is opened; sudoers and launcher both take it here.

On the login path: imports nothing.
"""

VIEWER = "/usr/bin/remote-viewer"
VIEWER_GROUP = "spicegrp"


def viewer_command(host: str, port: int, ca_file: str) -> list[str]:
    """remote-viewer's arguments: TLS only, the server's certificate checked against its own CA."""
    return [VIEWER, f"--spice-ca-file={ca_file}", "--", f"spice://{host}?tls-port={port:d}"]
