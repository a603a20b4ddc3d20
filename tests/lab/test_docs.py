"""Every command of README and docs/ is run, in the page's order, as the page's reader would.

tests/unit/pages.py says how a page tells where and as whom. What is not run is in its
NOT_TRIED; the commands of the checkout, all of them make's, are tests/lint/test_pages.py's.
"""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from lab import product, seat
from lab.door import wait_until
from lab.lab import Lab
from lab.story import Stage
from tests.lab.kvm_host import KvmHost
from tests.unit.pages import BLOCKS, NOT_TRIED, SHELL, Block, commands_of, is_like, today

PAGES = ("README.md", "docs/install.md", "docs/first-policy.md", "docs/server.md",
         "docs/day-to-day.md", "docs/troubleshooting.md")
"""With commands for workstation or server, in an order that needs few installations. The first two
begin before pam-spice is there and end after it; at the others' beginning the README's policy is in
force."""

PEOPLE = ("charlie", "maggie", "anne", "boss", "ralph")
POLICY, OFFICE = "/etc/pam-spice/policy.yaml", "/root/policy.yaml"
CHECKOUT = "/usr/src/pam-spice"
PASSWORDS = ("SECRET", "ANOTHER")
_SOON = 20.0  # seconds
_APT_CONF = """\
APT::Get::Assume-Yes "true";
"""

# Adds what the page's block holds to the file that is its argument: lines of a key that is there
# already come right after it.
_EDITOR = """\
#!/usr/bin/python3
import re, sys
text, below = open(sys.argv[1]).read(), open("/run/below.yaml").read()
for key, lines in re.findall(r"^(\\w+:)(.*\\n(?:[ #].*\\n)*)", below, re.M):
    if re.search(rf"^{key}$", text, re.M):
        text = re.sub(rf"^{key}\\n", lambda found: found[0] + lines.partition("\\n")[2], text,
                      flags=re.M)
    else:
        text += key + lines
open(sys.argv[1], "w").write(text)
"""


def blocks_of(page: str) -> list[Block]:
    return [block for block in BLOCKS if block.page == page]


def the(page: str, note: str) -> str:
    """The text of a page's block with that note."""
    [block] = [block for block in blocks_of(page) if block.note(note) is not None]
    return today(block.text, date.today())


@dataclass
class Reader:
    """Who sits before the workstation with a page in his hand."""

    lab: Lab
    stage: Stage
    server: KvmHost
    packages: Path
    passwords: dict[str, str]

    def play(self, page: str) -> None:
        """All blocks of a page. Fails at the first that is not as it says."""
        blocks = [block for block in blocks_of(page) if block.note("in the checkout") is None]
        for number, block in enumerate(blocks):
            below = blocks[number + 1:]
            if block.tag == SHELL:
                self._commands(block, below)
            elif (path := block.note("file")) is not None:
                self._write(path, today(block.text, date.today()))
            elif (path := block.note("added to")) is not None:
                self._add(path, today(block.text, date.today()))
            if (password := block.note("then the password is")) is not None:
                taken = {each for each in PASSWORDS if self.server.takes(each)}
                assert taken == {password}, f"{block.place}: the console takes {taken}"

    def _commands(self, block: Block, below: list[Block]) -> None:
        for name in (each.partition(" ")[2] for each in block.notes if each.startswith("needs ")):
            NEEDS[name](self)
        commands = [each for each in commands_of(block) if each not in NOT_TRIED]
        shown = below[0] if below and below[0].note("prints") is not None else None
        user = block.note("as")
        if user is not None:
            seat.login(1, user, self.passwords[user])
        try:
            self._run_each(block, commands, shown, below)
        finally:
            if user is not None:
                seat.logout(1)

    def _run_each(self, block: Block, commands: list[str], shown: Block | None,
                  below: list[Block]) -> None:
        for command in commands:
            text = today(command, date.today())
            wanted = ((int(block.note("status") or 0), shown) if command == commands[-1]
                      else (0, None))
            end = time.monotonic() + (0 if block.note("soon") is None else _SOON)
            while fault := _fault(self._run(block, text, below), *wanted):
                assert time.monotonic() < end, f"{block.place}: {text}\n{fault}"
                time.sleep(0.5)

    def _run(self, block: Block, command: str, below: list[Block]) -> CompletedProcess[str]:
        if block.note("as") is not None:
            ran = seat.run_at(1, command)
            return CompletedProcess(command, ran.status, ran.text, "")
        if block.note("on mysrv") is not None:
            return self.server.run(command, check=False)
        if command.startswith("pam-spice edit"):
            return self._edit(block, command, below)
        directory = block.note("in") or "/root"
        return self.lab.workstation.shell(f"cd {directory}\n{command}", check=False, timeout=120)

    def _edit(self, block: Block, command: str, below: list[Block]) -> CompletedProcess[str]:
        """At a terminal, with an editor that does what the page says; then it is saved."""
        box = self.lab.workstation
        edits = block.note("edits")
        assert edits, f"{block.place}: it doesn't say what is edited"
        if edits == "below":
            text = next(each.text for each in below if each.tag == "yaml")
            box.write_file("/run/below.yaml", today(text, date.today()))
            box.write_file("/run/editor", _EDITOR, mode=0o755)
            edits = "/run/editor"
        else:
            box.write_file("/run/editor", f"#!/bin/sh\nexec sed -i '{edits}' \"$1\"\n", mode=0o755)
        return box.run(["script", "--quiet", "--return", "--command",
                        f"EDITOR=/run/editor {command}", "/dev/null"], stdin="s\n", check=False)

    def _write(self, path: str, text: str) -> None:
        if path.endswith(" on mysrv"):
            self.server.write_file(path.removesuffix(" on mysrv"), text)
        else:
            self.lab.workstation.write_file(path, text)

    def _add(self, path: str, text: str) -> None:
        box = self.lab.workstation
        box.write_file(path, box.read_file(path) + text)

    # What the pages suppose

    def put_package(self, name: str = "pam-spice.deb") -> None:
        """The package lies where the reader is."""
        box = self.lab.workstation
        box.shell("rm -f /root/pam-spice_*_all.deb")
        box.copy_in(self.packages / name, f"/root/{name}")
        version = "0.1.0" if name == "pam-spice.deb" else "0.1.0+later"
        box.run(["mv", f"/root/{name}", f"/root/pam-spice_{version}_all.deb"])

    def put_own_office(self) -> None:
        self.lab.workstation.write_file(OFFICE, the("README.md", f"file {OFFICE}"))

    def put_draft(self) -> None:
        """A policy that somebody has prepared, with all that policy.d holds."""
        box = self.lab.workstation
        text = box.read_file(POLICY)
        assert "[Mon, Tue]" in text
        box.write_file("/root/draft.yaml", text.replace("[Mon, Tue]", "[Mon]"))
        box.shell("rm -rf /root/draft.d; cp -r /etc/pam-spice/policy.d /root/draft.d")

    def put_in_force(self) -> None:
        """The README's policy, on a workstation that has the package."""
        box = self.lab.workstation
        box.shell("test -e /usr/sbin/pam-spice || { apt install /root/pam-spice_*_all.deb; }; "
                  "rm -f /etc/pam-spice/policy.d/*", timeout=120)
        box.write_file("/etc/pam-spice/mysrv-ca.pem", self.lab.server.ca_file.read_text())
        box.write_file(POLICY, the("README.md", f"file {OFFICE}"))
        wait_until("the policy is in force",
                   lambda: not box.run(["pam-spice", "doctor"], check=False).returncode, _SOON, 0.5)


NEEDS: dict[str, Callable[[Reader], None]] = {
    "package": Reader.put_package,
    "later_package": lambda reader: reader.put_package("pam-spice-later.deb"),
    "own_office": Reader.put_own_office,
    "draft": Reader.put_draft,
}


def _fault(done: CompletedProcess[str], status: int, shown: Block | None) -> str:
    """What is not as the page says; "" where all is."""
    said = f"{done.stdout}{done.stderr}"
    if done.returncode != status:
        return f"status {done.returncode}, not {status}:\n{said}"
    if shown is not None and not is_like(today(shown.text, date.today()), done.stdout):
        return f"{shown.place} shows\n{shown.text}it printed\n{said}"
    return ""


@pytest.fixture(scope="module")
def reader(lab: Lab, stage: Stage, packages: Path,
           tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    lab.renew(install=False)
    box = lab.workstation
    graphics = the("docs/server.md", "graphics of bookkeeping")
    server = KvmHost(lab, the("docs/server.md", "qemu.conf"), tmp_path_factory.mktemp("kvm"))
    try:
        product.put_checkout(box)
        box.shell("rm -r /etc/pam-spice")
        passwords = {user: f"{user}-has-a-password" for user in PEOPLE}
        box.shell("".join(f"useradd --create-home --user-group --shell /bin/bash {user}\n"
                          for user in PEOPLE)
                  + "groupadd auditors; hostname front-1; echo 127.0.1.1 front-1 >>/etc/hosts\n"
                  "echo 192.168.2.2 front-2 >>/etc/hosts")
        box.run(["chpasswd"], stdin="".join(f"{user}:{word}\n" for user, word in passwords.items()))
        box.write_file("/etc/dpkg/dpkg.cfg.d/zz-docs", "path-include=/usr/share/doc/pam-spice/*\n")
        box.write_file("/etc/apt/apt.conf.d/zz-docs", _APT_CONF)
        box.write_file("/etc/apt/sources.list", "")
        server.wait_until_up()
        server.define("bookkeeping", graphics, start=True)
        server.define("analysis", graphics.replace("20001", "20003"), start=False)
        yield Reader(lab, stage, server, packages, passwords)
    finally:
        server.stop()


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_do_what_it_says(reader: Reader, page: str) -> None:
    if page not in PAGES[:2]:
        reader.put_in_force()
    reader.play(page)


def test_an_empty_password_and_one_whose_time_is_over_let_nobody_in(reader: Reader) -> None:
    """As docs/server.md says beside its commands."""
    server, graphics = reader.server, the("docs/server.md", "graphics of bookkeeping")

    def taken() -> set[str]:
        return {password for password in (*PASSWORDS, "") if server.takes(password)}

    def update(text: str) -> None:
        server.write_file("/root/graphics.xml", text)
        server.run("virsh update-device bookkeeping graphics.xml --live")

    update(graphics)
    assert taken() == {"SECRET"}
    update(re.sub("passwdValidTo='[^']*'", "passwdValidTo='2026-01-01T00:00:00'", graphics))
    assert taken() == set()
    update(graphics)
    assert taken() == {"SECRET"}
    update(graphics.replace("passwd='SECRET'", "passwd=''"))
    assert taken() == set()
    update(graphics)


def test_what_pages_suppose_is_what_the_lab_sees_to() -> None:
    assert {note.partition(" ")[2] for block in BLOCKS for note in block.notes
            if note.startswith("needs ")} == set(NEEDS)


def test_each_page_with_commands_is_played() -> None:
    assert {block.page for block in BLOCKS
            if block.tag == SHELL and block.note("in the checkout") is None} == set(PAGES)
