"""From the start of spice-open until remote-viewer is started, beside sudo of the same command.

A person has logged in at the seat of the lab's workstation, and the stopwatch runs in his login, at
its terminal. Timed is until the kernel opens /usr/bin/remote-viewer to execute it; in its place
stands a program that ends at once. sudo asks for no password and is called as spice-open calls it.
"""

from __future__ import annotations

import shlex

from lab import seat
from lab.lab import Lab
from lab.story.stage import policy
from tests.bench import logins
from tests.bench.measuring import Effort, Results, Row, milliseconds, ratio
from tests.bench.stopwatch import Program

_FULL_ROUNDS = 120
_TIMEOUT = 120
_TTY = 1
_VIEWER = "/usr/bin/remote-viewer"

# Others may read it, or its opening could not be watched; the real one they may not, and the doctor
# would mend that.
_STAND_IN = f"""\
systemctl stop pam-spice-doctor.path pam-spice-doctor.timer pam-spice-doctor.service
cp /usr/bin/true {logins.HOME}/stand-in
chown root:spicegrp {logins.HOME}/stand-in
chmod 754 {logins.HOME}/stand-in
mount --bind {logins.HOME}/stand-in {_VIEWER}
"""
_FLOOR = "import os, sys; os.execv(sys.argv[1], sys.argv[1:])"


def measure(effort: Effort) -> Results:
    """Measure. Raises LabError, LabTimeout if a program does not start the viewer."""
    with Lab.start(policy()) as lab:
        box = lab.workstation
        logins.install(box)
        box.shell(f"set -eu; {_STAND_IN}")
        lab.login("myself", _TTY)
        lab.run_at("spice-open --print >/tmp/command", _TTY)
        sudo = shlex.split(box.read_file("/tmp/command"))
        contenders = {
            "sudo": Program(sudo, opens=_VIEWER),
            "spice-open": Program(["/usr/bin/spice-open"], opens=_VIEWER),
            "python": Program(["/usr/bin/python3", "-I", "-S", "-c", _FLOOR, *sudo],
                              opens=_VIEWER),
        }
        command = logins.write_task(box, contenders, effort.rounds(_FULL_ROUNDS),
                                    "seconds_until_opened")
        ran = seat.run_at(_TTY, f"DISPLAY=:0 {command}", _TIMEOUT)
        if ran.status:
            raise RuntimeError(ran.text)
        times = logins.read_result(box)
    what, against = "`spice-open` until remote-viewer is started", "`sudo` of the same command line"
    floor = ratio(times["python"], times["sudo"])
    return Results(
        rows=[
            Row(what, against, 1.5, ratio(times["spice-open"], times["sudo"]),
                f"The floor is {floor.median:.2f}x: `python3 -I -S`, which becomes that sudo and "
                f"does nothing else."),
            Row("the same, `python3 -I -S` that becomes `sudo`", against, None, floor),
            Row(what, "`python3 -I -S` that becomes `sudo`", None,
                ratio(times["spice-open"], times["python"])),
        ],
        medians=[(f"{name} until remote-viewer is started", milliseconds(times[key]))
                 for name, key in (("`spice-open`", "spice-open"), ("`sudo`", "sudo"),
                                   ("`python3 -I -S`, then `sudo`", "python"))])
