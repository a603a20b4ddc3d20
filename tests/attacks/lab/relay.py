"""A relay for one connection: python3 -I relay.py ADDRESS PORT TARGET-ADDRESS TARGET-PORT.

It connects from the address that it listens at.
"""

from __future__ import annotations

import socket
import sys


def main(address: str, port: str, target: str, target_port: str) -> None:
    with socket.create_server((address, int(port))) as server:
        print("ready", flush=True)
        client, _ = server.accept()
        with client, socket.create_connection((target, int(target_port)),
                                              source_address=(address, 0)) as there:
            while data := client.recv(65536):
                there.sendall(data)


if __name__ == "__main__":
    main(*sys.argv[1:])
