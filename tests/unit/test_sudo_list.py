"""What sudo lists is read from its own recorded words; rules that open the viewer are told apart.

The recordings are of sudo 1.9.13p3: ``LC_ALL=C.UTF-8 sudo -ll -U USER | cat``.
"""

from pathlib import Path

import pytest

from conf.grantline import GrantLine
from conf.viewer import CONFINER, VIEWER
from pam_spice import sudoers
from pam_spice.doctor.sudolist import (
    Entry,
    is_root_in_effect,
    opening_command,
    parse_listing,
    weakening,
    word_of,
)

GROUP = {"spicegrp", "ALL", "#997"}
OWN = (r"/usr/lib/pam-spice/viewer --spice-ca-file\=/etc/pam-spice/mysrv-ca.pem --title\=debianx "
       r"-- spice\://mysrv\?tls-port\=20002")


def recorded(name: str) -> str:
    return (Path(__file__).parent / f"recorded/sudo-ll-{name}.txt").read_text()


def opens(entry: Entry) -> str | None:
    return opening_command(entry, GROUP, (CONFINER, VIEWER), {OWN})


def rule(command: str, users: str = "myself", groups: str = "") -> str | None:
    return opens(Entry((users,), (groups,) if groups else (), (), (command,)))


def test_our_own_rule_is_read_and_opens_nothing_else() -> None:
    listing = parse_listing(recorded("plain"))
    assert listing.entries == (Entry(("myself",), ("spicegrp",), ("authenticate",), (OWN,)),)
    assert opens(listing.entries[0]) is None
    assert weakening(listing, (CONFINER,), sudoers.settings()) == []


def test_our_own_settings_are_those_that_sudo_lists() -> None:
    (what, settings), = parse_listing(recorded("plain")).bound
    assert what == f"!{OWN}"
    assert settings == sudoers.settings()


def test_our_own_command_is_written_as_sudo_lists_it() -> None:
    grant = GrantLine("user:myself", "debianx", "mysrv", "mysrv", 20002, ("192.168.2.2",),
                      "/etc/pam-spice/mysrv-ca.pem", None, "policy.yaml:1")
    assert sudoers.command_of(grant) == OWN


@pytest.mark.parametrize(("groups", "command", "word"), [
    (("spicegrp",), "/usr/bin/less", "spicegrp"), (("#997",), "ALL", "#997"),
    (("mybro", "spicegrp"), "/usr/bin/less -R", "spicegrp"),
    ((), "/usr/bin/remote-*", "/usr/bin/remote-*"), (("ALL",), "/usr/bin/less -R", "/usr/bin/less"),
    (("ALL",), "ALL", "ALL"),
    ((), "sha256:AAA /usr/bin/less", "/usr/bin/less")])
def test_a_rule_is_looked_for_by_a_word_that_stands_in_it(groups: tuple[str, ...], command: str,
                                                          word: str) -> None:
    """Not each names the viewer's group; our own file does, and would be all that is found."""
    assert word_of(Entry(("root",), groups, (), (command,)), command, GROUP) == word


def test_who_may_do_nothing_has_no_rules() -> None:
    assert parse_listing(recorded("none")).entries == ()


def test_an_admin_is_root_in_effect() -> None:
    assert [is_root_in_effect(entry) for entry in parse_listing(recorded("admin")).entries] == [
        True]


def test_of_a_site_s_rules_those_are_found_that_open_the_viewer() -> None:
    listing = parse_listing(recorded("site"))
    assert not any(map(is_root_in_effect, listing.entries))
    assert list(map(opens, listing.entries)) == [
        None, "/usr/bin/remote-viewer", None, "/usr/bin/*",
        "sha224:0GomF8mNN3wlDt1HD9XldjJ3SNgpFdbjO1+NsQ== /bin/ls", "/usr/lib/pam-spice/"]


def test_of_a_site_s_defaults_those_are_found_that_weaken_our_command() -> None:
    assert weakening(parse_listing(recorded("site")), (CONFINER,), sudoers.settings()) == [
        ("everything", "runchroot=*"), ("/usr/lib/pam-spice/", "env_keep+=LD_PRELOAD")]


@pytest.mark.parametrize("command", [
    "ALL", VIEWER, f"{VIEWER} --full-screen", CONFINER, "/usr/bin/", "/usr/bin/*",
    "/usr/bin/remote-?iewer", "/usr/*/remote-viewer", "/usr/bin/[a-z]*", f"^{VIEWER}$",
    "^/usr/bin/.*$ ^--safe$", "^/usr/(bin$", r"/usr/bin/remote\-viewer",
    f"sha256:abc= {VIEWER}", f"sha224:a==, sha256:b= {VIEWER}",
])
def test_as_root_what_can_be_the_viewer_opens_it(command: str) -> None:
    assert rule(command, users="root") == command
    assert rule(command, users="ALL") == command


@pytest.mark.parametrize("command", [
    "/usr/bin/less", "/usr/bin", "/usr/sbin/", "/usr/*", "/bin/remote-viewer", "^/bin/.*$",
    f"sudoedit {VIEWER}", f"!{VIEWER}", "list", f"/usr/bin/less {VIEWER}",
])
def test_as_root_what_can_not_does_not(command: str) -> None:
    assert rule(command, users="root") is None


@pytest.mark.parametrize("group", ["spicegrp", "ALL", "#997"])
def test_with_the_viewer_s_group_any_program_opens_it(group: str) -> None:
    assert rule("/usr/bin/less", groups=group) == "/usr/bin/less"
    assert rule("/usr/bin/less", groups="staff") is None


def test_our_own_command_as_another_user_is_not_ours() -> None:
    assert rule(OWN, groups="spicegrp") is None
    assert rule(OWN, users="root", groups="spicegrp") == OWN
    assert rule(OWN.replace("20002", "20003"), groups="spicegrp") is not None


def test_the_viewer_as_another_ordinary_user_without_the_group_opens_nothing() -> None:
    assert rule(VIEWER, users="mybro") is None


def test_of_several_commands_the_last_that_matches_counts() -> None:
    def entry(*commands: str) -> str | None:
        return opens(Entry(("root",), (), (), commands))

    assert entry("/usr/bin/*", f"!{VIEWER}") is None
    assert entry(f"!{VIEWER}", "/usr/bin/*") == "/usr/bin/*"
    assert entry("/usr/bin/*", f"!{VIEWER} --evil") == "/usr/bin/*"


@pytest.mark.parametrize("text", ["", "\n", "Sudoers entry:\n",
                                  "\nSudoers entry:\n\nSudoers entry:\n",
                                  "Runas and Command-specific defaults for x:\n    Defaults!\n"])
def test_words_that_are_not_sudo_s_make_no_failure(text: str) -> None:
    listing = parse_listing(text)
    weakening(listing, (CONFINER,), sudoers.settings())
    assert [opens(entry) for entry in listing.entries if entry.commands] == []
