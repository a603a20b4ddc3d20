"""Where a PAM session stack leads: what is come to, and what can be gone past."""

import pytest

from pam_spice.doctor.pamflow import Line, lines, reached, session_stack, skipping

HOOK = """\
session [success=ignore default=2] pam_succeed_if.so quiet service in login:lightdm
session optional pam_exec.so quiet type=open_session /hook open
session optional pam_exec.so quiet type=close_session /hook close
"""
COMMON = f"""\
session [default=1] pam_permit.so
session requisite pam_deny.so
session required pam_permit.so
session required pam_unix.so
session optional pam_systemd.so
{HOOK}"""


def is_hook(line: Line) -> bool:
    return line.arguments[-1:] == ("open",)


def is_systemd(line: Line) -> bool:
    return line.name == "pam_systemd.so"


def stack(text: str, service: str = "login", **files: str) -> tuple[list[str], list[str]]:
    """The lines that can be come to before pam_systemd's, and those that lead past the hook."""
    texts = {service: text, "common-session": COMMON, **files}
    nodes = session_stack(service, texts.get)
    return ([line.text for line in reached(nodes, service, is_systemd) if is_hook(line)],
            [line.text for line in skipping(nodes, service, is_hook)])


def test_debian_s_own_stack_leads_to_the_hook_by_way_of_logind() -> None:
    assert stack("session required pam_loginuid.so\n@include common-session\n") == ([], [])


@pytest.mark.parametrize("line", [
    "session sufficient pam_foo.so",
    "session SUFFICIENT pam_foo.so",
    "-session sufficient pam_foo.so",
    "session [success=done default=ignore] pam_foo.so",
    "session [success=die default=ignore] pam_foo.so",
    "session [default=done] pam_foo.so",
    "session [ success=ok   ignore=7 ] pam_foo.so",
    "session [default=9] pam_foo.so arg",
    "session sufficient \\\n pam_foo.so",
    "session sufficient /lib/security/pam_foo.so # as a friend said",
    "session sufficient pam_permit.so",
    "session [success=9 default=ignore] pam_succeed_if.so quiet service = login",
    "session [default=9] pam_succeed_if.so quiet service in lightdm:sddm",
    "session [success=9 default=ignore] pam_succeed_if.so user ingroup staff",
    "session include other-file",
])
def test_a_line_above_that_can_lead_past_the_hook_is_found(line: str) -> None:
    before, over = stack(f"{line}\n@include common-session\n",
                         **{"other-file": "session sufficient pam_foo.so\n"})
    assert before == []
    assert len(over) == 1


@pytest.mark.parametrize("line", [
    "auth sufficient pam_foo.so",
    "# session sufficient pam_foo.so",
    "session required pam_foo.so",
    "session requisite pam_foo.so",
    "session optional pam_foo.so",
    "session [success=ok ignore=ignore module_unknown=ignore default=bad] pam_selinux.so close",
    "session [success=1 default=ignore] pam_foo.so",
    "session [default=die] pam_deny.so",
    "session sufficient pam_deny.so",
    "session [success=9 default=ignore] pam_succeed_if.so quiet service in cron:atd",
    "session [success=9 default=ignore] pam_succeed_if.so quiet_success use_uid service != login",
    "session substack other-file",
])
def test_a_line_above_that_only_refuses_or_goes_on_is_not(line: str) -> None:
    before, over = stack(f"{line}\n@include common-session\n",
                         **{"other-file": "session sufficient pam_foo.so\n"})
    assert (before, over) == ([], [])


def test_a_line_below_the_hook_leads_past_nothing() -> None:
    assert stack("@include common-session\nsession sufficient pam_foo.so\n") == ([], [])


def test_a_service_that_the_hook_s_own_line_does_not_name_goes_past_it() -> None:
    assert stack("@include common-session\n", service="sddm")[1] == [HOOK.split("\n")[0]]


def test_in_a_substack_the_hook_is_gone_past_by_what_ends_the_substack() -> None:
    text = "session substack inner\nsession required pam_unix.so\n"
    assert stack(text, inner=COMMON) == ([], [])
    assert stack(text, inner=f"session sufficient pam_foo.so\n{COMMON}")[1] == [
        "session sufficient pam_foo.so"]


def test_a_jump_counts_a_substack_as_one_line() -> None:
    text = ("session [success=1 default=ignore] pam_foo.so\nsession substack inner\n"
            "@include common-session\n")
    assert stack(text, inner="session required pam_a.so\nsession required pam_b.so\n") == ([], [])
    over = stack(text.replace("success=1", "success=8"), inner="session required pam_a.so\n")[1]
    assert len(over) == 1


@pytest.mark.parametrize("text", [
    HOOK + "session optional pam_systemd.so\n",
    HOOK,
    "session [success=1 default=ignore] pam_foo.so\nsession optional pam_systemd.so\n" + HOOK,
])
def test_a_hook_that_can_be_come_to_before_logind_is_found(text: str) -> None:
    assert len(stack(text)[0]) == 1


def test_a_service_without_a_file_has_the_stack_of_other() -> None:
    nodes = session_stack("sddm", {"other": "session required pam_deny.so\n"}.get)
    assert [line.name for line in lines(nodes)] == ["pam_deny.so"]


def test_an_include_that_goes_in_circles_ends() -> None:
    files = {"a": "@include b\n", "b": "@include a\nsession required pam_x.so\n"}
    assert len(list(lines(session_stack("a", files.get)))) < 100


@pytest.mark.parametrize("text", ["session", "session [a", "session [success=1", "session required",
                                  "session [] pam_x.so", "@include", "@include a b",
                                  "session [default=] pam_x.so", "session bogus pam_x.so"])
def test_what_libpam_would_not_take_is_no_reason_to_fail(text: str) -> None:
    stack(f"{text}\n@include common-session\n")
