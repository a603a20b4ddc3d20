"""Two people at one workstation, one after the other or hand in hand."""

import shlex

from lab import seat
from tests.attacks.attempt import Seen, attack
from tests.attacks.lab.furnish import THIRD_MACHINE
from tests.attacks.lab.stage import SPARE_SCREEN, Stage


@attack("A colleague logs in at another terminal of the screen, and opens his own console", 23,
        control=False)
def test_a_second_user_waits(stage: Stage) -> Seen:
    stage.at_desk()
    stage.lab.login("mybro", 2)
    stage.forget_who_is_there()
    stage.start(stage.viewer("mybro"), 2)
    return stage.reached("leaptest")


@attack("He has gone to another terminal; the colleague there switches back and forth, and opens "
        "his own console", 23, control=False)
def test_switching_terminals_makes_nobody_the_first(stage: Stage) -> Seen:
    stage.at_desk()
    stage.lab.login("mybro", 2)
    stage.forget_who_is_there()
    for tty in (1, 2, 1, 2):
        seat.switch_to(tty)
    stage.start(stage.viewer("mybro"), 2)
    return stage.reached("leaptest")


@attack("The colleague who waits ends the other's login with loginctl, and opens his own console",
        control=False)
def test_nobody_ends_anothers_login(stage: Stage) -> Seen:
    stage.at_desk()
    session = stage.lab.session_at(1).id
    stage.lab.login("mybro", 2)
    stage.forget_who_is_there()
    stage.type(f"loginctl terminate-user myself </dev/null; loginctl kill-session {session} "
               f"-s KILL </dev/null; busctl call org.freedesktop.login1 /org/freedesktop/login1 "
               f"org.freedesktop.login1.Manager TerminateSession s {session}; "
               f"pkill -KILL -u myself", 2)
    stage.start(stage.viewer("mybro"), 2)
    return stage.reached("leaptest")


@attack("While he is at the screen a colleague who knows his password becomes him with su, and "
        "opens his console", promised=False, control=False)
def test_a_colleague_with_his_password_is_taken_for_him(stage: Stage) -> Seen:
    stage.at_desk()
    stage.box.write_file("/home/mybro/.known", f"{stage.lab.passwords['myself']}\n",
                         owner="mybro:mybro")
    stage.afterwards("rm ~mybro/.known")
    stage.hold(f'su myself -c "{stage.viewer()}" <~/.known', user="mybro")
    return stage.reached("debianx")


@attack("While he is logged in at the screen, he comes in by ssh -X from elsewhere and opens his "
        "console there", promised=False, control=False)
def test_his_console_on_a_screen_elsewhere_is_not_noticed(stage: Stage) -> Seen:
    stage.at_desk()
    stage.come_in(shlex.quote(stage.viewer_words()), "-Y", screen=SPARE_SCREEN)
    return stage.reached("debianx")


@attack("He lets all on his screen with xhost, and a colleague looks at his console there", 12,
        promised=False, control=False)
def test_a_screen_that_he_shows_is_seen(stage: Stage) -> Seen:
    desktop = stage.at_desk()
    display = desktop.env["DISPLAY"]
    stage.type(f"{_assignments(desktop.env)} xhost +local:")
    stage.afterwards(f"xhost -display {display} -local: || true")
    stage.start(f"{_assignments(desktop.env)} {stage.viewer_words()}")
    desktop.answer_viewer_password(stage.lab.server.consoles["debianx"].password)
    stage.lab.server.wait_for_channels("debianx", 4, 10)
    title = stage.box.run(["xdotool", "search", "--name", "debianx"], user="mybro",
                          env={"DISPLAY": display}, check=False).stdout
    seen = bool(title.strip())
    return Seen(seen, "the colleague saw the console's window" if seen else "he saw nothing")


@attack("He goes through a third machine, which relays for him to the server", 14, promised=False)
def test_a_relay_on_a_third_machine_is_the_servers_to_refuse(stage: Stage) -> Seen:
    stage.at_desk()
    stage.relay_of_a_third_machine(7002, "leaptest")
    stage.type(f"nc -z -w 1 {THIRD_MACHINE} 7002")
    return stage.reached("leaptest", 0.5)


def _assignments(env: dict[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in env.items())
