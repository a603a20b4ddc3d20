"""A certificate authority and a server certificate that live as long as the lab."""

from __future__ import annotations

from pathlib import Path

from lab.door import call

_CA = ["-subj", "/CN=the lab's own CA", "-addext", "basicConstraints=critical,CA:TRUE",
       "-addext", "keyUsage=critical,keyCertSign,cRLSign"]  # fmt: skip


def make_pki(directory: Path, hosts: list[str], addresses: list[str]) -> Path:
    """Write what QEMU's x509-dir wants, for a server of those names, and return the CA's file.

    That is ca-cert.pem, server-cert.pem with its names in subjectAltName, and server-key.pem.
    """
    directory.mkdir(mode=0o700)
    new_key = ["-newkey", "rsa:2048", "-noenc"]
    ca, ca_key = directory / "ca-cert.pem", directory / "ca-key.pem"
    call(["openssl", "req", "-x509", *new_key, "-keyout", ca_key, "-out", ca, "-days", "365", *_CA])
    request, extensions = directory / "server.csr", directory / "server.ext"
    call(
        ["openssl", "req", *new_key, "-subj", f"/CN={hosts[0]}"]
        + ["-keyout", str(directory / "server-key.pem"), "-out", str(request)]
    )
    names = [*(f"DNS:{host}" for host in hosts), *(f"IP:{address}" for address in addresses)]
    extensions.write_text(f"subjectAltName={','.join(names)}\nextendedKeyUsage=serverAuth\n")
    sign = ["openssl", "x509", "-req", "-CAcreateserial", "-days", "365"]
    files = {"-in": request, "-CA": ca, "-CAkey": ca_key, "-extfile": extensions}
    files["-out"] = directory / "server-cert.pem"
    call(sign + [str(word) for pair in files.items() for word in pair])
    return ca
