"""The server's kernel as a witness: to which of its ports somebody asked for a connection."""

from __future__ import annotations

import json

from lab.door import call
from lab.server import KvmServer

# A dynamic set: the packet itself writes its port down. Only a SYN that has left the workstation
# comes this far.
_TABLE = """\
table inet witness {
    set asked { type inet_service; size 4096; flags dynamic; }
    chain input {
        type filter hook input priority -10;
        tcp flags & (syn | ack) == syn update @asked { tcp dport }
    }
}
"""


class Witness:
    """Sees every request for a connection that reaches the server, whatever becomes of it."""

    def __init__(self, server: KvmServer) -> None:
        self._enter = ["nsenter", f"--net=/run/netns/{server.namespace}", "--", "nft"]
        call([*self._enter, "-f", "-"], stdin=_TABLE)

    def forget(self) -> None:
        """Begin anew."""
        call([*self._enter, "flush", "set", "inet", "witness", "asked"])

    def ports(self) -> set[int]:
        """The server's ports that were asked for since."""
        said = call([*self._enter, "--json", "list", "set", "inet", "witness", "asked"]).stdout
        found = [each["set"] for each in json.loads(said)["nftables"] if "set" in each]
        return {int(port) for port in found[0].get("elem", [])}
