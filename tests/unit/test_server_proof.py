"""A server's certificate as selftest judges it: real TLS over a pair of sockets."""

import socket
import ssl
import threading
from pathlib import Path

import pytest

from lab.pki import make_pki
from pam_spice.doctor.certificate import PROVED, proof_of

HOST = "mysrv.example"


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The server's, and another one."""
    room = tmp_path_factory.mktemp("pki")
    return make_pki(room / "ours", [HOST], []).parent, make_pki(room / "other", [HOST], []).parent


def proof(server: Path | None, host: str, ca_file: Path) -> str:
    """Without a directory the server speaks no TLS."""
    near, far = socket.socketpair()
    near.settimeout(10)

    def serve() -> None:
        with far:
            if server is None:
                far.sendall(b"220 no TLS here\r\n")
                return
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(server / "server-cert.pem", server / "server-key.pem")
            try:
                context.wrap_socket(far, server_side=True).close()
            except OSError:
                pass

    thread = threading.Thread(target=serve)
    thread.start()
    with near:
        said = proof_of(near, host, str(ca_file))
    thread.join()
    return said


def test_the_servers_own_ca_and_name_prove_it(authorities: tuple[Path, Path]) -> None:
    ours, _ = authorities
    assert proof(ours, HOST, ours / "ca-cert.pem") == PROVED


def test_another_ca_another_name_and_no_tls_are_told(authorities: tuple[Path, Path],
                                                     tmp_path: Path) -> None:
    ours, other = authorities
    assert "certificate" in proof(ours, HOST, other / "ca-cert.pem")
    assert "mysrv.exmaple" in proof(ours, "mysrv.exmaple", ours / "ca-cert.pem")
    assert proof(None, HOST, ours / "ca-cert.pem").startswith("no TLS: ")
    missing = tmp_path / "none.pem"
    assert proof(ours, HOST, missing) == f"CA file {missing} does not exist here"
