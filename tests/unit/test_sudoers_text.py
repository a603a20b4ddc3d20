"""The sudoers drop-in: exact commands for exact subjects, nothing of either left to wildcards."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf.grantline import GrantLine
from pam_spice import sudoers
from tests.unit.support import grant


def specification(text: str) -> list[str]:
    return [line for line in text.splitlines() if " ALL = " in line]


def subject_of(subject: str) -> str:
    line, = specification(sudoers.render([grant(subject=subject)], True))
    return line.partition(" ALL = ")[0]


KEYWORDS = {"ALL", "sudoedit", "sha224", "sha256", "sha384", "sha512"}
"""Words that sudoers(5) takes for something else than a user, seen with visudo 1.9.13."""


def assert_is_nothing_but_the_name(kind: str, name: str) -> None:
    written = subject_of(f"{kind}:{name}")
    assert written.startswith("%") == (kind == "group")
    bare = written.removeprefix("%") if kind == "group" else written
    assert re.fullmatch(r"(?:[A-Za-z0-9_.-]|\\x[0-9a-f]{2})+", bare), bare
    if kind == "user":
        assert bare not in KEYWORDS
        assert not re.fullmatch(r"[A-Z][A-Z0-9_]*", bare), "an alias"
        assert not re.match(r"[0-9]+\.", bare), "an address"
    raw = re.sub(rb"\\x(..)", lambda match: bytes([int(match[1], 16)]), bare.encode())
    assert raw.decode() == name


@pytest.mark.parametrize("kind", ["user", "group"])
@pytest.mark.parametrize("name", [
    "anne", "anne2", "_apt", "a.b-c_d", "ALL", "Anne", "Defaults", "User_Alias", "NOPASSWD",
    "DOM\\anne", "anne@corp", "domain admin", "domain users", "host$", "%staff", "#0", "1021",
    "+netgroup", "!anne", "a,b", "a=b", "a:b", "a\nb", "müller", "a*", "sudoedit", "sha256",
    "sha512", "list", "include", "10.0.0.1", "192.168.2.2"])
def test_a_name_is_written_so_that_it_can_be_nothing_but_a_name(kind: str, name: str) -> None:
    assert_is_nothing_but_the_name(kind, name)


_ANY = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(st.sampled_from(["user", "group"]), _ANY)
def test_any_name_reads_back_as_itself_and_is_no_keyword(kind: str, name: str) -> None:
    assert_is_nothing_but_the_name(kind, name)


def command_of(line: GrantLine) -> str:
    alias, = [one for one in sudoers.render([line], True).split("\n")
              if one.startswith("Cmnd_Alias")]
    return alias.partition(" = ")[2]


def test_the_command_is_the_viewer_with_every_sign_of_its_arguments_escaped() -> None:
    assert command_of(grant()) == (
        r"/usr/lib/pam-spice/viewer --spice-ca-file\=/etc/pam-spice/mysrv-ca.pem "
        r"--title\=webdev -- "
        r"spice\://mysrv.example\?tls-port\=20002")


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), min_size=1,
               max_size=20))
def test_no_sign_of_an_argument_is_left_to_be_a_wildcard_or_syntax(text: str) -> None:
    line = GrantLine("user:anne", "c", "s", text, 20001, ("192.168.2.2",), f"/{text}", None, "f:1")
    command = command_of(line).removeprefix("/usr/lib/pam-spice/viewer ")
    unescaped = re.sub(r"\\.", "", command, flags=re.DOTALL)
    assert not set(unescaped) & set("?*[],:=\\")
    assert unescaped.count(" ") == 3, "four arguments"


def test_a_console_s_subjects_share_one_command_and_one_set_of_defaults() -> None:
    text = sudoers.render([grant(subject=f"user:u{number}") for number in range(120)], True)
    assert text.count("Cmnd_Alias") == 1
    assert text.count("Defaults!") == 1
    assert [line.count(",") + 1 for line in specification(text)] == [50, 50, 20]


def test_a_subject_granted_twice_is_named_once() -> None:
    line, = specification(sudoers.render([grant(), grant()], True))
    assert " ALL = (:spicegrp) PASSWD: PAM_SPICE_" in line
    assert "," not in line


def test_consoles_at_different_endpoints_have_commands_of_their_own() -> None:
    text = sudoers.render([grant(), grant("analysis", 20003, subject="user:ralph")], True)
    aliases = re.findall(r"^Cmnd_Alias (\S+) = ", text, re.MULTILINE)
    assert len(set(aliases)) == 2
    for alias in aliases:
        assert len(re.findall(rf"^Defaults!{alias} ", text, re.MULTILINE)) == 1
    assert len({line.split()[0] for line in specification(text)}) == 2


def test_two_names_of_one_endpoint_are_two_commands_each_for_its_own_subjects() -> None:
    text = sudoers.render([grant(), grant("website", subject="user:ralph")], True)
    titles = dict(re.findall(r"^Cmnd_Alias (\S+) = .* --title\\=(\S+) -- ", text, re.MULTILINE))
    assert {titles[line.rpartition(" ")[2]]: line.partition(" ALL = ")[0]
            for line in specification(text)} == {"webdev": r"\x61nne", "website": r"\x72alph"}


def test_a_password_is_asked_unless_the_policy_says_not_to() -> None:
    assert "NOPASSWD" not in sudoers.render([grant()], True)
    line, = specification(sudoers.render([grant()], False))
    assert "(:spicegrp) NOPASSWD: PAM_SPICE_" in line


def test_what_a_site_may_have_relaxed_is_tightened_for_the_command() -> None:
    line, = [one for one in sudoers.render([grant()], True).splitlines()
             if one.startswith("Defaults!")]
    for word in ("env_reset", "!setenv", "!targetpw", "!rootpw", "!runaspw", "!noexec"):
        assert re.search(rf"[ ,]{word}(,|$)", line), word
    kept = re.search(r'env_keep = "([^"]*)"', line)
    assert kept and set(kept[1].split()) == {"DISPLAY", "XAUTHORITY", "WAYLAND_DISPLAY",
                                             "XDG_RUNTIME_DIR"}
    assert "env_keep +=" not in line


def test_without_grants_there_is_not_a_line_for_sudo() -> None:
    assert sudoers.render([], True).strip() == ""


def test_the_text_does_not_depend_on_the_order_of_grants() -> None:
    grants = [grant(subject="user:b"), grant("analysis", 20003), grant(subject="group:a")]
    assert sudoers.render(grants, True) == sudoers.render(grants[::-1], True)


def test_a_console_s_name_can_not_end_its_comment() -> None:
    # The language lets no newline into a name; sudoers takes a backslash at a line's end as a join.
    text = sudoers.render([grant("webdev")], True)
    assert text.startswith("# webdev\nCmnd_Alias ")
