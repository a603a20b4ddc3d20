"""``pam-spice import-libvirt``: servers and consoles out of what ``virsh dumpxml`` prints."""

import argparse
import ipaddress
import sys
import xml.sax
from collections.abc import Callable
from pathlib import Path
from xml.parsers.expat import ExpatError, errors

from conf.parser import parse_policy
from pam_spice.libvirt import Note, ServerFields, import_domains, server_text
from pam_spice.libvirtxml import WRAPPER, Domain, DomainReader, NotADomain
from pam_spice.verbs import NO, USAGE, YES, UsageError

MAX_SIZE = 16 * 1024 * 1024
"""Of one file, in bytes; a domain's XML has about 10,000."""

_DUMP = "give it what virsh dumpxml prints"


_DESCRIPTION = """\
Makes the policy's entries for a KVM server and its VMs, a console for each VM
that has SPICE with TLS, and prints them. It changes nothing, here or there.
On the server, virsh dumpxml VM prints what it needs to know of a VM."""
_EXAMPLE = """\
On a workstation, for all VMs of the server mysrv:
  ssh root@mysrv 'for vm in $(virsh list --all --name); do virsh dumpxml $vm; done' |
      pam-spice import-libvirt --server mysrv --host mysrv.example \\
          --ca-file /etc/pam-spice/mysrv-ca.pem - > mysrv.yaml
Look at mysrv.yaml, and fill in what it says is to be filled in. Then put it to
/etc/pam-spice/policy.d, where it counts at once beside policy.yaml, and give
grants for its consoles."""


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the verb."""
    parser = verbs.add_parser(
        "import-libvirt", help="print servers and consoles from virsh dumpxml",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=_DESCRIPTION, epilog=_EXAMPLE)
    parser.add_argument("files", nargs="+", metavar="FILE",
                        help="what virsh dumpxml printed, of one VM or several; - for standard "
                             "input, as behind a pipe")
    parser.add_argument("--server", default="kvm", metavar="NAME",
                        help="a name for the server, of your own choice, as the policy shall call "
                             "it (default: %(default)s)")
    parser.add_argument("--host", default="",
                        help="the server's name as it stands in its TLS certificate, like "
                             "mysrv.example")
    parser.add_argument("--address", action="append", default=[], metavar="ADDR",
                        help="the server's IP address; give it once for each that it has "
                             "(default: those on which its VMs listen)")
    parser.add_argument("--ca-file", default="", metavar="FILE",
                        help="where the certificate of the server's CA lies on the workstations, "
                             "like /etc/pam-spice/mysrv-ca.pem; it is not read here")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0: all is imported; 1: something was left out or needs attention; 2: no domain was read."""
    server = _server_of(arguments)
    parse = _safe_parser()
    domains: list[Domain] = []
    notes: list[Note] = []
    for file in arguments.files:
        try:
            name = "standard input" if file == "-" else file
            domains.extend(_domains_of(_read(file), name, parse))
        except _UnusableFile as error:
            notes.append(Note(name, error.fact, error.remedy))
    text, more = import_domains(domains, server)
    # The policy is UTF-8 whatever this terminal speaks.
    sys.stdout.buffer.write(text.encode())
    for note in notes + more:
        print(note, file=sys.stderr)
    if not text and domains:
        print("none of these domains has a console", file=sys.stderr)
    return USAGE if not domains else NO if notes or more else YES


def _server_of(arguments: argparse.Namespace) -> ServerFields:
    """What was said of the server. Raises UsageError where the policy's parser refuses it."""
    given = ServerFields(arguments.server, arguments.host, tuple(arguments.address),
                         arguments.ca_file)
    whole = ServerFields(given.name, given.host or "kvm.example",
                         given.addresses or ("192.0.2.1",), given.ca_file or "/ca.pem")
    parsed = parse_policy(("timezone: UTC\n" + server_text(whole, [1])).encode(), "options")
    for problem in parsed.problems:
        raise UsageError(f"{problem.fact}\n  {problem.remedy}")
    return ServerFields(given.name, given.host, tuple(dict.fromkeys(
        str(ipaddress.ip_address(address)) for address in given.addresses)), given.ca_file)


# Reading

class _UnusableFile(Exception):
    def __init__(self, fact: str, remedy: str = _DUMP) -> None:
        super().__init__(fact)
        self.fact = fact
        self.remedy = remedy


_Parse = Callable[[bytes, DomainReader], None]


def _safe_parser() -> _Parse:
    """A parser of XML that takes no DTD, so that no entity can swell or name another file."""
    try:
        # Only this verb needs it, so that all others do without.
        from defusedxml import sax
    except ImportError:
        raise UsageError("this needs Python's defusedxml\n"
                         "  apt install python3-defusedxml") from None

    def parse(data: bytes, reader: DomainReader) -> None:
        sax.parseString(data, reader, forbid_dtd=True)

    return parse


def _read(file: str) -> bytes:
    try:
        if file == "-":
            data = sys.stdin.buffer.read(MAX_SIZE + 1)
        else:
            with Path(file).open("rb") as opened:
                data = opened.read(MAX_SIZE + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        raise _UnusableFile(f"can't be read: {getattr(error, 'strerror', error)}",
                            "name the files that hold the XML") from None
    if len(data) > MAX_SIZE:
        raise _UnusableFile(f"is larger than {MAX_SIZE // 1024 // 1024} MiB")
    return data


def _domains_of(data: bytes, name: str, parse: _Parse) -> list[Domain]:
    """The domains of a file; virsh dumpxml, called for each domain, prints one after the other."""
    try:
        reader = DomainReader(name)
        try:
            parse(data, reader)
        except xml.sax.SAXParseException as error:
            if _code(error) != errors.codes[errors.XML_ERROR_JUNK_AFTER_DOC_ELEMENT]:
                raise
            reader = DomainReader(name)
            parse(b"<%b>%b</%b>" % (WRAPPER.encode(), data, WRAPPER.encode()), reader)
    except xml.sax.SAXParseException as error:
        raise _UnusableFile(f"line {error.getLineNumber()}: is not XML: {error.getMessage()}"
                            ) from None
    except NotADomain as error:
        raise _UnusableFile(f"is not a <domain> but a <{str(error)[:40]}>") from None
    except (ValueError, LookupError) as error:  # of defusedxml, and of Python's codecs
        if type(error).__module__.startswith("defusedxml"):
            raise _UnusableFile("has a DTD, which is refused and which virsh dumpxml never writes"
                                ) from None
        raise _UnusableFile(f"is in an encoding that can't be read: {error}") from None
    if not reader.domains:
        raise _UnusableFile("holds no domain")
    return reader.domains


def _code(error: xml.sax.SAXParseException) -> int | None:
    cause = error.getException()
    return cause.code if isinstance(cause, ExpatError) else None
