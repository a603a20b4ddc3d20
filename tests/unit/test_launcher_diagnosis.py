"""What remote-viewer 11 and sudo print, and what the person reads of it.

The lines are as they were printed on Debian 12, in a network namespace with a QEMU.
"""

import errno
import os

import pytest

from launcher.consoles import Console
from launcher.diagnosis import Diagnosis, is_debugging, is_message

WEBDEV = Console("webdev", "mysrv", 20002, "/ca", True, None, None, ((0, 0),))
GERMAN = {errno.ECONNREFUSED: "Verbindungsaufbau abgelehnt",
          errno.ENETUNREACH: "Das Netzwerk ist nicht erreichbar"}

DEBUG = "(remote-viewer:11083): virt-viewer-DEBUG: 19:03:44.841: "
OPENING = [f"{DEBUG}Opening connection to display at spice://mysrv?tls-port=20002",
           f"{DEBUG}New spice channel 0x55fa32591630 SpiceMainChannel 0",
           f"{DEBUG}notebook show status 0x55fa3240e200"]
GIVEN_UP = [f"{DEBUG}Destroy SPICE channel SpiceMainChannel 0", f"{DEBUG}zap main channel"]
ASKS = f"{DEBUG}main channel: auth failure (wrong username/password?)"
OPENED = f"{DEBUG}main channel: opened"
CLOSED = f"{DEBUG}main channel: closed"
NOT_THE_CA = [
    "(remote-viewer:8154): Spice-WARNING **: 19:03:02.319: ../subprojects/spice-common/common/"
    "ssl_verify.c:445:openssl_verify: Error in certificate chain verification: self-signed "
    "certificate in certificate chain (num=19:depth1:/CN=the lab's own CA)",
    "(remote-viewer:8154): GSpice-WARNING **: 19:03:02.322: main-1:0: SSL_connect: "
    "error:00000001:lib(0)::reason(1)"]
NO_CA = ["(remote-viewer:8402): GSpice-WARNING **: 19:03:06.287: loading ca certs from "
         "/etc/pam-spice/none.pem failed", *NOT_THE_CA]
REFUSED = ("webdev was not opened: mysrv has refused the connection. Perhaps the virtual machine "
           "is switched off. Ask your administrator.")
UNREACHABLE = "webdev was not opened: mysrv does not answer. Is the network connected?"
CERTIFICATE = ("webdev was not opened: the server could not prove that it is mysrv (its "
               "certificate does not fit). Tell your administrator.")


def heard(*lines: str) -> Diagnosis:
    diagnosis = Diagnosis(lambda number: (os.strerror(number), GERMAN.get(number, "?")))
    for line in lines:
        diagnosis.hear(line)
    return diagnosis


def not_connected(reason: str) -> str:
    return f"{DEBUG}main channel: failed to connect {reason}"


@pytest.mark.parametrize(("reason", "text"), [
    ("Could not connect to mysrv: Connection refused", REFUSED),
    ("Verbindung zu mysrv nicht möglich: Verbindungsaufbau abgelehnt", REFUSED),
    ("Could not connect to faraway: Network is unreachable", UNREACHABLE),
    ("Could not connect to mysrv: No route to host", UNREACHABLE),
    ("Could not connect to mysrv: Connection timed out", UNREACHABLE),
    ("Verbindung nicht möglich: Das Netzwerk ist nicht erreichbar", UNREACHABLE),
    ("Error resolving “nohost”: Temporary failure in name resolution",
     "webdev was not opened: mysrv could not be reached (Error resolving “nohost”: Temporary "
     "failure in name resolution). Tell your administrator.")])
def test_a_connection_that_fails_is_told_by_its_reason(reason: str, text: str) -> None:
    assert heard(*OPENING, not_connected(reason)).failure(WEBDEV) == text


@pytest.mark.parametrize(("lines", "text"), [
    (NOT_THE_CA, CERTIFICATE),
    ([], CERTIFICATE),  # from a terminal stderr is not read: TLS alone fails without a word
    (NO_CA, "webdev was not opened: the certificate with which to recognize mysrv is missing "
            "here. Tell your administrator.")])
def test_a_server_that_does_not_prove_its_name_is_told(lines: list[str], text: str) -> None:
    assert heard(*OPENING, *lines).failure(WEBDEV) is None, "the viewer has not given up yet"
    assert heard(*OPENING, *lines, *GIVEN_UP).failure(WEBDEV) == text


def test_a_first_question_for_the_password_is_no_failure_and_a_second_is_a_wrong_one() -> None:
    assert heard(*OPENING, ASKS).failure(WEBDEV) is None
    assert heard(*OPENING, ASKS, *GIVEN_UP).failure(WEBDEV) is None
    assert heard(*OPENING, ASKS, *GIVEN_UP).ending(WEBDEV) is None
    assert heard(*OPENING, ASKS, ASKS, *GIVEN_UP).ending(WEBDEV) == (
        "webdev was not opened: that was not the virtual machine's password (it is not the one "
        "with which you logged in).")
    assert heard(*OPENING, ASKS, ASKS, OPENED, *GIVEN_UP).ending(WEBDEV) is None


def test_what_was_open_has_not_failed_whatever_comes_later() -> None:
    lines = [*OPENING, ASKS, OPENED, *GIVEN_UP]
    assert heard(*lines).failure(WEBDEV) is None
    assert heard(*lines).ending(WEBDEV) is None, "the person closed it"
    assert heard(*OPENING, OPENED, CLOSED, *GIVEN_UP).ending(WEBDEV) == (
        "mysrv has ended the connection to webdev.")


def test_sudo_s_last_word_is_kept_and_the_viewer_s_messages_are_not_taken_for_it() -> None:
    diagnosis = heard("Sorry, try again.", "sudo: 3 incorrect password attempts", "", *OPENING)
    assert diagnosis.last == "sudo: 3 incorrect password attempts"


def test_messages_that_only_the_launcher_asked_for_are_told_from_the_viewer_s_warnings() -> None:
    assert all(map(is_debugging, OPENING))
    assert not any(map(is_debugging, NOT_THE_CA))
    assert all(map(is_message, NOT_THE_CA))
    assert not is_message("sudo: 3 incorrect password attempts")
