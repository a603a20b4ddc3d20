"""Whether a server proves to be the one that the policy means, as the viewer will judge it."""

import ssl
from socket import socket

from conf.lint.endpoints import CaFault
from pam_spice.linting import read_ca

PROVED = "it fits the CA file and the name"


def proof_of(connection: socket, host: str, ca_file: str) -> str:
    """What a TLS handshake over the connection comes to: ``PROVED``, or what is wrong.

    No more is sent than the handshake, so who is at the console stays there.
    """
    fault = read_ca(ca_file)
    if isinstance(fault, CaFault):
        return f"CA file {ca_file} {fault.fact}"
    # Not the default context: it may ask for more than the viewer does (VERIFY_X509_STRICT).
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(ca_file)
        with context.wrap_socket(connection, server_hostname=host):
            return PROVED
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    except OSError as error:
        return f"no TLS: {error.strerror or error}"
