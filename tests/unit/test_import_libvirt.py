"""Domains of libvirt to a policy's servers and consoles.

``recorded/libvirt`` holds what ``virsh dumpxml`` printed: libvirt 9.0.0 and QEMU 7.2.22 of
Debian 12, the driver qemu:///system without KVM, ``spice_tls = 1`` in qemu.conf, domains with
32 MiB and no disk. The host had 192.168.2.2 and fd00::2, and 192.168.2.3 on the bridge of a network
``office`` (``<forward mode='bridge'/>``). ``inactive`` is a domain that doesn't run, ``running``
one that does, ``migratable`` and ``security-info`` a running one with that option;
``all.running.xml`` holds all that ran, one after the other. ``two-spice`` could be defined and not
started.
"""

import argparse
import io
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conf.model import ParsedPolicy
from conf.parser import parse_policy
from pam_spice.verbs import UsageError, import_libvirt
from tests.unit.conftest import GOLDEN, Golden
from tests.unit.support import within

RECORDED = Path(__file__).parent / "recorded/libvirt"
COMPLETE = ("--host", "kvm.example", "--ca-file", "/etc/pam-spice/kvm-ca.pem")
ADDRESS = ("--address", "192.168.2.2")

SECURE = "autoport='no' tlsPort='20001' defaultMode='secure'"


@dataclass(frozen=True)
class Answer:
    status: int
    text: str
    notes: str

    @property
    def parsed(self) -> ParsedPolicy:
        return parse_policy(b"timezone: UTC\n" + self.text.encode(), "policy.yaml")

    @property
    def consoles(self) -> dict[str, int]:
        """The consoles and their ports; the text has no problem."""
        assert self.parsed.problems == ()
        assert self.parsed.policy is not None
        return {name: console.tls_port for name, console in self.parsed.policy.consoles.items()}

    @property
    def guarded(self) -> tuple[tuple[tuple[int, int], ...], tuple[str, ...]]:
        """The guarded ports and the addresses of the only server."""
        assert self.parsed.policy is not None
        [server] = self.parsed.policy.servers.values()
        return server.guarded_ports, server.addresses


def run(*arguments: str, stdin: bytes = b"") -> Answer:
    parser = argparse.ArgumentParser()
    import_libvirt.add_parser(parser.add_subparsers())
    parsed = parser.parse_args(["import-libvirt", *arguments])
    before = sys.stdin, sys.stdout, sys.stderr
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    sys.stdin, sys.stdout = io.TextIOWrapper(io.BytesIO(stdin)), out
    sys.stderr = error = io.StringIO()
    try:
        status = parsed.run(parsed)
        out.flush()
    finally:
        sys.stdin, sys.stdout, sys.stderr = before
    assert isinstance(out.buffer, io.BytesIO)
    return Answer(status, out.buffer.getvalue().decode(), error.getvalue())


def domain(graphics: str, name: str = "webdev", uuid: str = "") -> bytes:
    return (f"<domain type='kvm'>\n  <name>{name}</name>\n  <uuid>{uuid}</uuid>\n  <devices>"
            f"{graphics}</devices>\n</domain>\n").encode()


def imported(*domains: bytes, options: tuple[str, ...] = COMPLETE + ADDRESS) -> Answer:
    return run("-", *options, stdin=b"\n".join(domains))


# What virsh printed

@pytest.mark.parametrize("path", sorted(RECORDED.glob("*.xml")), ids=lambda path: path.stem)
def test_what_virsh_printed_becomes_its_golden_file(path: Path, golden: Golden,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(RECORDED)
    answer = run(path.name, *COMPLETE)
    golden(GOLDEN / "libvirt" / f"{path.stem}.txt",
           f"{answer.text}--\n{answer.notes}exit status {answer.status}\n")


def test_without_options_all_that_the_xml_lacks_is_to_be_filled_in(
        golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(RECORDED)
    answer = run("autoport-tls.running.xml")
    golden(GOLDEN / "libvirt/no-options.txt",
           f"{answer.text}--\n{answer.notes}exit status {answer.status}\n")
    facts = [problem.fact for problem in answer.parsed.problems]
    assert any("is not a host name" in fact for fact in facts)
    complete = answer.text.replace('"FILL IN: the name in its certificate"', "kvm.example")
    for field in ("address", "path"):
        facts = [problem.fact for problem in parse_policy(
            f"timezone: UTC\n{complete}".encode(), "policy.yaml").problems]
        assert any(field in fact for fact in facts), facts
        complete = complete.replace('"FILL IN: its own address"', "192.168.2.2")


@pytest.mark.parametrize("path", sorted(RECORDED.glob("*.xml")), ids=lambda path: path.stem)
def test_with_all_options_the_text_is_a_policy_without_problems(path: Path) -> None:
    answer = run(str(path), *COMPLETE, *ADDRESS)
    if answer.text:
        assert answer.parsed.problems == ()


def test_a_fixed_tls_port_and_all_options_are_fine() -> None:
    answer = run(str(RECORDED / "tls-only.running.xml"), *COMPLETE)
    assert (answer.status, answer.notes) == (0, "")
    assert answer.consoles == {"bookkeeping": 20001}
    assert answer.guarded == (((20001, 20001),), ("192.168.2.2",))


def test_several_files_and_several_domains_in_a_file_make_one_server() -> None:
    separate = run(*(str(RECORDED / f"{name}.running.xml") for name in ("tls-only", "no-listen")),
                   *COMPLETE, *ADDRESS)
    assert separate.consoles == {"bookkeeping": 20001, "archive": 20004}
    assert len(run(str(RECORDED / "all.running.xml"), *COMPLETE, *ADDRESS).consoles) == 8


def test_no_password_is_printed() -> None:
    path = RECORDED / "plain-and-tls.security-info.xml"
    assert b"passwd='not-shown'" in path.read_bytes()
    answer = run(str(path))
    assert "not-shown" not in answer.text + answer.notes


# Ports

def test_a_plain_port_is_guarded_and_told() -> None:
    answer = imported(domain("<graphics type='spice' port='5930' tlsPort='20001'/>"))
    assert answer.status == 1
    assert answer.consoles == {"webdev": 20001}
    assert answer.guarded[0] == ((5930, 5930), (20001, 20001))
    assert "port 5930 is open without TLS" in answer.notes
    assert "autoport='no' tlsPort='20001' defaultMode='secure'" in answer.notes


def test_a_plain_port_alone_gives_no_console_but_a_guard() -> None:
    answer = imported(domain("<graphics type='spice' port='5930' autoport='no'/>"))
    assert answer.status == 1
    assert answer.consoles == {}
    assert answer.guarded[0] == ((5930, 5930),)
    assert "spice_tls = 1" in answer.notes


@pytest.mark.parametrize("ports", ["port='-1' tlsPort='-1' autoport='yes'", "autoport='yes'", "",
                                   "tlsPort='0'", "tlsPort='70000'", "tlsPort='http'"])
def test_without_a_known_port_there_is_no_console_and_a_remedy(ports: str) -> None:
    answer = imported(domain(f"<graphics type='spice' {ports}/>"))
    assert (answer.status, answer.text) == (1, "")
    assert "its port is chosen when it starts" in answer.notes
    assert "autoport='no' tlsPort='PORT'" in answer.notes
    assert "dump it while it runs" in answer.notes


def test_a_port_that_libvirt_chose_is_told_to_be_for_this_time_only() -> None:
    answer = imported(domain("<graphics type='spice' tlsPort='5901' autoport='yes'/>"))
    assert answer.consoles == {"webdev": 5901}
    assert "may be another domain's next time" in answer.notes


def test_what_refuses_tls_is_told() -> None:
    answer = imported(domain("<graphics type='spice' tlsPort='5901' defaultMode='insecure'>"
                             "<channel name='record' mode='insecure'/>"
                             "<channel name='main' mode='secure'/></graphics>"))
    assert "defaultMode='insecure' refuses TLS" in answer.notes
    assert "channels that refuse TLS: 'record'" in answer.notes


def test_two_domains_with_one_tls_port_are_told() -> None:
    graphics = f"<graphics type='spice' {SECURE} listen='192.168.2.2'/>"
    answer = imported(domain(graphics, "a"), domain(graphics, "b"))
    assert answer.status == 1
    assert answer.consoles == {"a": 20001, "b": 20001}
    assert "port 20001 belongs to several domains" in answer.notes
    assert "'a', 'b'" in answer.notes


def test_a_domain_s_second_dump_is_passed_over() -> None:
    answer = run(*(str(RECORDED / f"tls-only.{state}.xml") for state in ("running", "inactive")),
                 *COMPLETE)
    assert answer.status == 1
    assert answer.consoles == {"bookkeeping": 20001}
    assert "is in" in answer.notes
    assert "belongs to several" not in answer.notes


def test_the_running_dump_counts_where_the_inactive_one_knows_no_port() -> None:
    answer = run(*(str(RECORDED / f"autoport.{state}.xml") for state in ("inactive", "running")),
                 *COMPLETE, *ADDRESS)
    assert answer.consoles == {"webdev": 5903}


# Other graphics

def test_a_console_s_vnc_port_is_guarded_and_told() -> None:
    answer = imported(domain(f"<graphics type='spice' {SECURE} listen='192.168.2.2'/>"
                             "<graphics type='vnc' port='5940' websocket='5700' "
                             "listen='192.168.2.2'/>"))
    assert answer.guarded[0] == ((5700, 5700), (5940, 5940), (20001, 20001))
    assert "its screen is on VNC too, port 5940, which is guarded" in answer.notes


def test_an_address_of_vnc_alone_is_guarded_too() -> None:
    graphics = (f"<graphics type='spice' {SECURE} listen='192.168.2.2'/>"
                "<graphics type='vnc' port='5940' listen='192.168.2.3'/>")
    assert imported(domain(graphics), options=COMPLETE).guarded[1] == ("192.168.2.2",
                                                                       "192.168.2.3")
    assert "listens on 192.168.2.3, which is not among the given addresses" in imported(
        domain(graphics)).notes


@pytest.mark.parametrize("vnc", ["listen='127.0.0.1' port='5940'", "listen='::1' port='5940'",
                                 "port='5940'", "socket='/run/vnc'"])
def test_vnc_that_no_workstation_reaches_does_not_matter(vnc: str) -> None:
    answer = imported(domain(f"<graphics type='spice' {SECURE} listen='192.168.2.2'/>"
                             f"<graphics type='vnc' {vnc}/><graphics type='egl-headless'/>"))
    assert (answer.status, answer.notes) == (0, "")


def test_a_domain_with_two_spice_graphics_gets_no_console_but_a_guard() -> None:
    answer = run(str(RECORDED / "two-spice.inactive.xml"), *COMPLETE)
    assert answer.status == 1
    assert answer.consoles == {}
    assert answer.guarded == (((20008, 20009),), ("192.168.2.2",))


@pytest.mark.parametrize(("graphics", "fact"), [
    ("", "has no graphics"),
    ("<graphics type='vnc' port='5900'/>", "only 'vnc'"),
    ("<graphics type='spice'><listen type='socket'/></graphics>", "on a socket file"),
    ("<graphics type='spice'><listen type='none'/></graphics>", "listens nowhere"),
    ("<graphics type='spice' autoport='no'/>", "opens no port")])
def test_what_is_no_console_is_passed_over_and_told(graphics: str, fact: str) -> None:
    answer = imported(domain(graphics))
    assert (answer.status, answer.text) == (1, "")
    assert fact in answer.notes


def test_graphics_outside_of_a_domain_s_devices_do_not_count() -> None:
    graphics = f"<graphics type='spice' {SECURE}/>"
    answer = imported(domain(f"</devices><metadata><devices>{graphics}</devices></metadata>"
                             f"{graphics}<devices>"))
    assert answer.text == ""


# Addresses

@pytest.mark.parametrize(("listen", "address"), [
    ("listen='192.168.2.2'/>", "192.168.2.2"),
    ("><listen type='address' address='192.168.2.2'/></graphics>", "192.168.2.2"),
    ("><listen address='FD00:0::2'/></graphics>", "fd00::2"),
    ("listen='192.168.2.2'><listen type='address'/></graphics>", "192.168.2.2"),
    ("><listen type='network' network='office' address='192.168.2.2'/></graphics>",
     "192.168.2.2"),
    ("><listen type='socket'/><listen type='address' address='192.168.2.2'/></graphics>",
     "192.168.2.2")])
def test_a_listen_address_is_the_server_s(listen: str, address: str) -> None:
    answer = imported(domain(f"<graphics type='spice' {SECURE} {listen}"), options=COMPLETE)
    assert (answer.status, answer.notes) == (0, "")
    assert answer.guarded[1] == (address,)


@pytest.mark.parametrize(("listen", "fact"), [
    ("listen='0.0.0.0'/>", ""),
    ("listen='::'/>", ""),
    ("listen='127.0.0.1'/>", "listens on 127.0.0.1, which no workstation reaches"),
    ("listen='::1'/>", "listens on ::1, which no workstation reaches"),
    ("/>", "listens where spice_listen"),
    ("><listen type='address'/></graphics>", "listens where spice_listen"),
    ("><listen type='network' network='office'/></graphics>", "of the network 'office'"),
    ("listen='kvm.example'/>", "'kvm.example', which is not the address of one host"),
    ("listen='::ffff:192.168.2.2'/>", "not the address of one host"),
    ("listen='fe80::1%eth0'/>", "not the address of one host")])
def test_where_the_xml_names_no_address_it_is_to_be_filled_in(listen: str, fact: str) -> None:
    answer = imported(domain(f"<graphics type='spice' {SECURE} {listen}"), options=COMPLETE)
    assert answer.status == 1
    assert 'addresses: ["FILL IN: its own address"]' in answer.text
    assert "give --address, or write it there" in answer.notes
    assert fact in answer.notes


@pytest.mark.parametrize("listen", ["listen='0.0.0.0'/>", "listen='::'/>",
                                    "><listen type='network' network='office'/></graphics>"])
def test_a_given_address_answers_for_the_xml(listen: str) -> None:
    answer = imported(domain(f"<graphics type='spice' {SECURE} {listen}"))
    assert (answer.status, answer.notes) == (0, "")


def test_given_addresses_are_taken_as_they_are_and_once() -> None:
    answer = imported(domain(f"<graphics type='spice' {SECURE} listen='192.168.2.9'/>"),
                      options=(*COMPLETE, *ADDRESS, *ADDRESS, "--address", "FD00::2"))
    assert answer.guarded[1] == ("192.168.2.2", "fd00::2")
    assert "listens on 192.168.2.9, which is not among the given addresses" in answer.notes


def test_different_addresses_are_told() -> None:
    answer = run(*(str(RECORDED / f"{name}.running.xml") for name in ("tls-only",
                                                                      "listen-network")),
                 *COMPLETE)
    assert answer.guarded[1] == ("192.168.2.2", "192.168.2.3")
    assert "listen on different addresses" in answer.notes


# Names

def test_a_name_that_no_console_can_have_is_mapped_and_told() -> None:
    names = ["Büro PC 1", "a/b", "a-b", "a b", "../..", "x" * 70, "yes", "007", "日本"]
    answer = imported(*(domain(f"<graphics type='spice' tlsPort='{20001 + index}' "
                               "listen='192.168.2.2'/>", name)
                        for index, name in enumerate(names)))
    assert answer.status == 1
    assert list(answer.consoles) == ["Buro-PC-1", "a-b-2", "a-b", "a-b-3", "console", "x" * 64,
                                     "yes", "007", "console-2"]
    assert "domain 'Büro PC 1': is the console 'Buro-PC-1'" in answer.notes
    assert "# domain 'Büro PC 1'" in answer.text


def test_two_domains_of_one_name_get_two_consoles() -> None:
    answer = imported(*(domain(f"<graphics type='spice' tlsPort='{port}' listen='192.168.2.2'/>",
                               uuid=str(port)) for port in (20001, 20002)))
    assert answer.consoles == {"webdev": 20001, "webdev-2": 20002}


def test_the_server_s_name_is_chosen_and_quoted_where_yaml_needs_it() -> None:
    xml = domain(f"<graphics type='spice' {SECURE} listen='192.168.2.2'/>")
    for name in ("office", "no", "12", "1e3", "0x1f"):
        answer = imported(xml, options=(*COMPLETE, "--server", name))
        assert answer.consoles == {"webdev": 20001}
        assert answer.parsed.policy is not None
        assert list(answer.parsed.policy.servers) == [name]


@pytest.mark.parametrize("options", [
    ("--server", "two words"), ("--server", "a: b"), ("--server", ""), ("--host", "-bad-"),
    ("--host", "kvm\nx"), ("--address", "kvm.example"), ("--address", "0.0.0.0"),
    ("--ca-file", "kvm-ca.pem"), ("--ca-file", "/with blank"), ("--host", "\udcff"),
    ("--host", "\N{GRINNING FACE}")])
def test_an_option_that_the_policy_cannot_hold_is_refused(options: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=r"\A[^\n]+\n  [^\n]+\Z"):
        run(*(f"{options[0]}={value}" for value in options[1:]), "-")


# Files

BOMB = b"""<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>
<domain><name>&c;</name></domain>"""
EXTERNAL = b"""<!DOCTYPE domain [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<domain><name>&x;</name></domain>"""


@pytest.mark.parametrize(("data", "fact"), [
    (b"", "is not XML"),
    (b"error: failed to get domain 'webdev'\n", "line 1: is not XML"),
    (b"<domain>\n<name>x</domain>", "line 2: is not XML: mismatched tag"),
    (b"<network><name>office</name></network>", "is not a <domain> but a <network>"),
    (b"<domainsnapshot><domain/></domainsnapshot>", "but a <domainsnapshot>"),
    (b"<domains/>", "holds no domain"),
    (b"<domains><network/></domains>", "holds no domain"),
    (BOMB, "has a DTD, which is refused"),
    (EXTERNAL, "has a DTD, which is refused"),
    (b"<!DOCTYPE domain>\n<domain/>", "has a DTD, which is refused"),
    (b"<domain><name>&nosuch;</name></domain>", "is not XML: undefined entity"),
    (b"<domain><name>\xff\xfe</name></domain>", "is not XML"),
    (b"<?xml version='1.0' encoding='nosuch'?><domain/>", "encoding"),
    (b"<?xml version='1.0' encoding='utf-7'?><domain/>", "encoding"),
    (b"<?xml version='1.0' encoding='utf-16'?><domain/>", "encoding"),
    (b"\x00" * 100, "is not XML"),
    (b"\x1f\x8b\x08\x00" + bytes(range(256)), "is not XML")])
def test_an_unusable_file_is_told_in_a_line_of_fact_and_one_of_remedy(data: bytes,
                                                                      fact: str) -> None:
    answer = imported(data)
    assert (answer.status, answer.text) == (2, "")
    assert answer.notes.startswith("standard input: ")
    assert fact in answer.notes
    assert answer.notes.count("\n") == 2


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "iso-8859-1", "cp1252"])
def test_xml_in_another_encoding_that_it_declares_is_read(encoding: str) -> None:
    xml = domain(f"<graphics type='spice' {SECURE} listen='192.168.2.2'/>", "Büro").decode()
    declared = encoding.removesuffix("-sig")
    answer = imported(f"<?xml version='1.0' encoding='{declared}'?>{xml}".encode(encoding))
    assert answer.consoles == {"Buro": 20001}


def test_a_file_larger_than_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    xml = domain(f"<graphics type='spice' {SECURE} listen='192.168.2.2'/>")
    assert import_libvirt.MAX_SIZE == 16 * 1024 * 1024
    monkeypatch.setattr(import_libvirt, "MAX_SIZE", 1024 * 1024)
    assert imported(xml + b" " * (1024 * 1024 - len(xml))).consoles == {"webdev": 20001}
    answer = imported(xml + b" " * (1024 * 1024 - len(xml) + 1))
    assert answer.status == 2
    assert "is larger than 1 MiB" in answer.notes


@pytest.mark.parametrize("data", [
    b"<domain>" + b"<a>" * 200_000,
    b"<domain>" + b"<a>" * 200_000 + b"</a>" * 200_000 + b"</domain>",
    b"<domain><devices>" + b"<graphics type='vnc'/>" * 40_000 + b"</devices></domain>",
    b"<domain><name>" + b"x" * 1_000_000 + b"</name></domain>",
    b"<" + b"x" * 1_000_000 + b"/>"], ids=["open", "deep", "wide", "name", "tag"])
def test_a_deep_or_wide_file_ends_soon_and_says_little(data: bytes) -> None:
    with within(20):
        answer = imported(data)
    assert answer.text == ""
    assert len(answer.notes) < 1000


def test_domains_of_one_name_do_not_slow_each_other_down() -> None:
    with within(20):
        answer = imported(*(domain(f"<graphics type='spice' tlsPort='{port}'/>", "a b")
                            for port in range(10_000, 14_000)))
    assert len(answer.consoles) == 4000


def test_a_bad_file_leaves_the_others_alone(tmp_path: Path) -> None:
    (tmp_path / "bad.xml").write_bytes(BOMB)
    answer = run(str(tmp_path / "bad.xml"), str(tmp_path / "away.xml"), str(tmp_path),
                 str(RECORDED / "tls-only.running.xml"), *COMPLETE)
    assert answer.status == 1
    assert answer.consoles == {"bookkeeping": 20001}
    assert "away.xml: can't be read: No such file or directory" in answer.notes
    assert "can't be read: Is a directory" in answer.notes


def test_an_unreadable_file_alone_is_unusable_input() -> None:
    assert run("/nosuch/domain.xml").status == 2
    assert run("nul\0l.xml").status == 2


def test_without_defusedxml_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "defusedxml", None)
    with pytest.raises(UsageError, match="apt install python3-defusedxml"):
        run("-")


# Anything

SEEDS = [path.read_bytes() for path in sorted(RECORDED.glob("*.xml")) if path.stem != "all.running"]
VALUES = ["", "-1", "0", "5900", "20001", "65536", "yes", "no", "spice", "vnc", "::", "0.0.0.0",
          "192.168.2.7", "fe80::1%x", "socket", "none", "network", "&#x85;", "&#128512;", "ü\u2028"]


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=3))
def test_arbitrary_bytes_never_raise(parts: list[bytes]) -> None:
    assert imported(*parts, options=COMPLETE).status in (0, 1, 2)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Recorded XML with some values exchanged, and some bytes cut out or put in."""
    data = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(0, 4))):
        pieces = data.split(b"'")
        index = draw(st.integers(0, max(0, len(pieces) // 2 - 1))) * 2 + 1
        if index < len(pieces):
            pieces[index] = draw(st.sampled_from(VALUES)).encode()
            data = b"'".join(pieces)
    for _ in range(draw(st.integers(0, 2))):
        start = draw(st.integers(0, len(data)))
        end = start + draw(st.integers(0, 30))
        data = data[:start] + draw(st.binary(max_size=6)) + data[end:]
    return data


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(mutated(), min_size=1, max_size=3))
def test_mutated_xml_never_raises_and_what_it_becomes_is_a_policy(parts: list[bytes]) -> None:
    answer = imported(*parts)
    assert answer.status in (0, 1, 2)
    if answer.text:
        assert answer.parsed.problems == ()


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="<&"),
                        min_size=1, max_size=80), min_size=1, max_size=6))
def test_any_names_become_consoles_of_a_policy(names: list[str]) -> None:
    answer = imported(*(domain(f"<graphics type='spice' tlsPort='{20001 + index}'/>", name)
                        for index, name in enumerate(names)))
    if answer.text:
        assert answer.parsed.problems == ()
