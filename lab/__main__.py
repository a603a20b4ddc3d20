"""A workstation and a KVM server on this machine, to try pam-spice on."""

from __future__ import annotations

import argparse
import logging
import signal
import subprocess
import sys
from pathlib import Path

from lab.errors import LabError
from lab.lab import Lab, take_down
from lab.ledger import Ledger
from lab.rootfs import rootfs


def main() -> int:
    """Run one verb; 0 is yes or done, 1 is no, 2 is trouble."""
    parser = argparse.ArgumentParser(prog="python3 -m lab", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, text in (
        ("up", "bring a lab up and leave it up"),
        ("shell", "a root shell in the workstation, of a lab of its own if none is up"),
    ):
        each = verbs.add_parser(verb, help=text)
        each.add_argument("--policy", type=Path, help="a file to put in as the policy")
        each.add_argument("--bare", action="store_true", help="without pam-spice set up")
    verbs.add_parser("down", help="take down the lab that is up, or what a crash left of one")
    verbs.add_parser("status", help="what is up; status 1 if nothing is")
    verbs.add_parser("reboot", help="reboot the workstation of the lab that is up")
    verbs.add_parser("build", help="build the root file system if it isn't in the cache")
    for verb, text in (
        ("demo", "play the story of the office in a lab of its own"),
        ("demo-desktop", "the same of what people see at their desktops"),
    ):
        each = verbs.add_parser(verb, help=text)
        each.add_argument("chapters", metavar="CHAPTER", nargs="*", help="only these")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    # A terminal that is closed and a polite kill take the lab down too.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(2))
    try:
        return _run(options)
    except (LabError, OSError) as failure:
        print(failure, file=sys.stderr)
        return 2


def _run(options: argparse.Namespace) -> int:
    match options.verb:
        case "build":
            print(rootfs())
        case "up":
            lab = _start(options)
            lab.detach()
            _describe(lab)
        case "down":
            print("the lab is down" if take_down() else "no lab was up")
        case "status":
            if Ledger.join() is None:
                print("no lab is up")
                return 1
            _describe(Lab.attach())
        case "reboot":
            Lab.attach().workstation.reboot()
        case "demo" | "demo-desktop":
            from lab.story import CHAPTERS, DESKTOP
            from lab.story.demo import play

            story = CHAPTERS if options.verb == "demo" else DESKTOP
            return play(story, options.chapters, options.verb)
        case "shell":
            return _shell(options)
    return 0


def _start(options: argparse.Namespace) -> Lab:
    if options.bare:
        return Lab.start(install=False)
    # The other verbs mustn't depend on the story.
    from lab.story.stage import policy

    return Lab.start(options.policy.read_text() if options.policy else policy())


def _shell(options: argparse.Namespace) -> int:
    if Ledger.join() is not None:
        return _talk(Lab.attach())
    with _start(options) as lab:
        return _talk(lab)


def _talk(lab: Lab) -> int:
    _describe(lab)
    # script(1) makes a terminal of the container's own: the machine's isn't known in there.
    argv = lab.workstation.enter(["script", "--quiet", "--return", "-c", "bash -l", "/dev/null"])
    return subprocess.run(argv, check=False).returncode  # noqa: S603


def _describe(lab: Lab) -> None:
    print(f"workstation: {'up' if lab.workstation.is_up() else 'off'}")
    for user, password in lab.passwords.items():
        print(f"  user {user}, password {password}")
    for console in lab.server.consoles.values():
        print(f"console {console.name}: {console.uri}, password {console.password}")


if __name__ == "__main__":
    sys.exit(main())
