"""A workstation and a KVM server on one machine, for trying pam-spice as it is used.

The workstation is a systemd container with real VTs, logind and PAM; the server is a network
namespace in which QEMU offers consoles over SPICE with TLS.
"""
