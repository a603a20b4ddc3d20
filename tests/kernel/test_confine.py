"""What the viewer can't do any more once ``launcher.confine`` has made way for it.

Python stands in for the viewer: it loads libraries and starts programs as it is told. Each refusal
has its counterpart, the same done without confinement.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conf.viewer import VIEWER
from pam_spice import landlock
from pam_spice.cli import main
from pam_spice.installing import setup_notes
from tests.kernel import namespace as ns
from tests.kernel.namespace import GUARDED_PORT, OTHER_GUARDED_PORT, USERS, V4, VIEWER_GID
from tests.kernel.workstation import OFFICE, REFUSED, office, window

ANNE = USERS["anne"]
ROOT = Path(__file__).parents[2]
PREFIX = Path("/run/prefix")
PYTHON = os.path.realpath("/usr/bin/python3")
HOME = Path("/run/home")
LIBRARY = f"/usr/lib/{sys.implementation._multiarch}/libm.so.6"

LOAD = "import ctypes, sys; ctypes.CDLL({path!r}); print('loaded')"
READ = "print(len(open({path!r}, 'rb').read(1)))"
EXECUTE = "import os; print(os.spawnv(os.P_WAIT, {path!r}, ['x']))"


def install() -> None:
    """Python in the viewer's place, and a home of anne's, in this namespace alone."""
    directory = os.path.dirname(VIEWER)
    layers = Path("/run/.layers/bin")
    layers.mkdir(parents=True)
    ns.mount("tmpfs", str(layers), "tmpfs", 0, "mode=0755,size=64m")
    for name in ("upper", "work"):
        (layers / name).mkdir()
    ns.mount("overlay", directory, "overlay", 0,
             f"lowerdir={directory},upperdir={layers}/upper,workdir={layers}/work")
    shutil.copy2(PYTHON, VIEWER)
    os.chown(VIEWER, 0, VIEWER_GID)
    os.chmod(VIEWER, 0o750)
    HOME.mkdir()
    os.chown(HOME, ANNE, ANNE)
    for place in (HOME / "own.so", Path("/dev/shm/own.so"), Path("/tmp/own.so")):
        shutil.copy(LIBRARY, place)
        os.chown(place, ANNE, ANNE)
        place.chmod(0o755)
    shutil.copy("/usr/bin/true", HOME / "own-program")
    (HOME / "own-program").chmod(0o755)


def isolate() -> None:
    """Nothing is left in the machine's own /tmp and /dev/shm."""
    for room in ("conf", "launcher"):  # the checkout may lie in /tmp
        shutil.copytree(ROOT / room, PREFIX / room, ignore=shutil.ignore_patterns("__pycache__"))
    for place in ("/tmp", "/dev/shm"):
        ns.mount("tmpfs", place, "tmpfs", 0, "mode=1777,size=16m")
    install()


def confined(code: str, *, uid: int = ANNE, gid: int = VIEWER_GID, stdin: object = None,
             pass_fds: tuple[int, ...] = (), environment: dict[str, str] | None = None) -> str:
    """What the viewer's stand-in prints when sudo starts our script as that uid and gid."""
    script = f"""
import sys; sys.path.insert(0, {str(PREFIX)!r})
from launcher.confine import main
sys.exit(main(sys.argv[1:]))
"""
    return _run([PYTHON, "-I", "-S", "-c", script, "-c", code], uid, gid, stdin, pass_fds,
                environment or {})


def unconfined(code: str) -> str:
    """The same without our script."""
    return _run([VIEWER, "-c", code], ANNE, VIEWER_GID, None, (), {})


def _run(argv: list[str], uid: int, gid: int, stdin: object, pass_fds: tuple[int, ...],
         environment: dict[str, str]) -> str:
    result = subprocess.run(
        argv, user=uid, group=gid, extra_groups=[], capture_output=True, text=True, timeout=20,
        stdin=stdin, pass_fds=pass_fds,  # type: ignore[call-overload]
        env={"HOME": str(HOME), **environment})
    lines = (result.stdout + result.stderr).strip().splitlines()
    return str(lines[-1]) if lines else ""


PLACES = pytest.mark.parametrize("path", ["/run/home/own.so", "/dev/shm/own.so", "/tmp/own.so"])


@PLACES
def test_a_library_that_the_user_can_write_is_not_loaded(path: str) -> None:
    isolate()
    assert unconfined(LOAD.format(path=path)) == "loaded"
    assert "Permission denied" in confined(LOAD.format(path=path))


def test_a_library_of_the_system_is_loaded() -> None:
    isolate()
    assert confined(LOAD.format(path=LIBRARY)) == "loaded"


def test_a_library_of_the_user_is_not_loaded_through_a_link() -> None:
    isolate()
    (HOME / "link.so").symlink_to("/proc/self/root/run/home/own.so")
    assert "Permission denied" in confined(LOAD.format(path="/run/home/link.so"))
    assert "Permission denied" in confined(LOAD.format(path="/proc/self/root/run/home/own.so"))


def test_a_library_that_is_handed_over_open_is_not_loaded() -> None:
    isolate()
    memory = os.memfd_create("own.so", 0)
    os.write(memory, Path(LIBRARY).read_bytes())
    assert confined(LOAD.format(path="/proc/self/fd/0"), stdin=memory) != "loaded"
    high = os.dup2(memory, 77)
    assert confined(LOAD.format(path=f"/proc/self/fd/{high}"), pass_fds=(high,)) != "loaded"
    for path in ("/run/home/own.so", "/tmp/own.so", "/dev/shm/own.so"):
        with open(path, "rb") as file:
            assert confined(LOAD.format(path="/proc/self/fd/0"), stdin=file) != "loaded"
            os.unlink(path)
            assert confined(LOAD.format(path="/proc/self/fd/0"), stdin=file) != "loaded"


def test_a_library_in_the_place_of_the_x_server_s_cookies_is_not_loaded() -> None:
    isolate()
    for path in ("/run/home/own.so", "/proc/self/fd/3", "/proc/self/fd/4"):
        assert confined(LOAD.format(path=path),
                        environment={"XAUTHORITY": "/run/home/own.so"}) != "loaded"


def test_the_x_server_s_cookies_reach_the_viewer_and_can_t_be_changed() -> None:
    isolate()
    cookies = b"\0\0\0\4\x7f\0\0\1\0\0010\0\x12MIT-MAGIC-COOKIE-1\0\x10" + bytes(range(16))
    places: list[tuple[str, dict[str, str]]] = [
        ("/run/home/.Xauthority", {}), ("/tmp/xauth", {"XAUTHORITY": "/tmp/xauth"})]
    for where, environment in places:
        Path(where).write_bytes(cookies)
        os.chown(where, ANNE, ANNE)
        read = "import os; print(open(os.environ['XAUTHORITY'], 'rb').read().hex())"
        assert confined(read, environment=environment) == cookies.hex()
        write = "import os; os.write(os.open(os.environ['XAUTHORITY'], os.O_RDWR), b'x')"
        assert "Error" in confined(write, environment=environment)


def test_without_cookies_the_viewer_starts() -> None:
    isolate()
    assert confined("print('up')", environment={"XAUTHORITY": "/no/such/file"}) == "up"
    os.mkfifo(HOME / ".Xauthority")
    assert confined("print('up')") == "up"


@pytest.mark.parametrize("path", ["/usr/bin/true", "/bin/sh", "/run/home/own-program"])
def test_it_starts_no_program_with_its_group(path: str) -> None:
    isolate()
    assert unconfined(EXECUTE.format(path=path)) in ("0", "127")
    assert confined(EXECUTE.format(path=path)) == "127"


@pytest.mark.parametrize("path", ["/etc/passwd", "/usr/lib/os-release", "/proc/self/status",
                                  "/dev/urandom", "/dev/null"])
def test_what_the_system_holds_can_be_read(path: str) -> None:
    isolate()
    assert confined(READ.format(path=path)) in ("0", "1")


def test_the_ca_file_of_the_command_line_can_be_read_wherever_it_is() -> None:
    isolate()
    ca = Path("/run/elsewhere.pem")
    ca.write_text("x")
    script = f"""
import sys; sys.path.insert(0, {str(PREFIX)!r})
from launcher import confine
confine._confine([], ["/run/elsewhere.pem"])
print(open("/run/elsewhere.pem").read())
"""
    result = subprocess.run([PYTHON, "-I", "-S", "-c", script], user=ANNE, group=VIEWER_GID,
                            extra_groups=[], capture_output=True, text=True, timeout=20)
    assert result.stdout == "x\n", result.stderr


def test_the_viewer_tells_its_messages_where_the_launcher_reads_them_and_nowhere_else() -> None:
    isolate()
    code = "import os, sys; print(os.environ.get('G_MESSAGES_DEBUG'), file=sys.stderr)"
    told = {"G_MESSAGES_DEBUG": "all"}
    assert confined(code) == "virt-viewer"
    assert confined(code, environment=told) == "virt-viewer", "not what the user asks for"
    script = (f"import sys; sys.path.insert(0, {str(PREFIX)!r})\n"
              "from launcher.confine import main\nsys.exit(main(sys.argv[1:]))")
    for stdout in (subprocess.DEVNULL, open("/tmp/log", "w")):
        result = subprocess.run(
            [PYTHON, "-I", "-S", "-c", script, "-c", code], user=ANNE, group=VIEWER_GID,
            extra_groups=[], stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=20,
            env={"HOME": str(HOME)})
        assert result.stderr == "None\n"


def test_it_writes_where_its_user_can_write() -> None:
    isolate()
    assert confined("print(open('/run/home/picture.png', 'wb').write(b'x'))") == "1"
    assert (HOME / "picture.png").stat().st_uid == ANNE


def test_no_other_process_of_the_user_can_look_into_it_or_take_its_group() -> None:
    isolate()
    code = ("import os, sys, time; sys.stdout.write(str(os.getpid()) + chr(10)); "
            "sys.stdout.flush(); time.sleep(8)")
    script = (f"import sys; sys.path.insert(0, {str(PREFIX)!r})\n"
              "from launcher.confine import main\nsys.exit(main(sys.argv[1:]))")
    running = subprocess.Popen([PYTHON, "-I", "-S", "-c", script, "-c", code], user=ANNE,
                               group=VIEWER_GID, extra_groups=[], stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    pid = int(running.stdout.readline())

    def attempt(what: str) -> str:
        def body() -> str:
            ns.become(ANNE, ANNE)
            try:
                if what == "namespace":
                    own = os.readlink("/proc/self/ns/user")
                    return "same" if os.readlink(f"/proc/{pid}/ns/user") == own else "other"
                os.close(os.open(f"/proc/{pid}/{what}", os.O_RDWR if what == "mem" else 0))
            except OSError as error:
                return type(error).__name__
            return "open"
        return ns.answer_of(body)

    try:
        assert attempt("mem") == "PermissionError"
        assert attempt("environ") == "PermissionError"
        assert attempt("fd/1") == "PermissionError"
        # A namespace of his would be his, with all that is mapped there.
        assert attempt("namespace") in ("same", "PermissionError")
        assert os.readlink(f"/proc/{pid}/ns/user") == os.readlink("/proc/self/ns/user")
    finally:
        running.kill()
        running.wait()


WITHOUT_LANDLOCK = f"""
import sys; sys.path.insert(0, {str(PREFIX)!r})
from launcher import confine
confine._CREATE_RULESET = 9999  # a system call that no kernel has
sys.exit(confine.main(sys.argv[1:]))
"""


def run_without_landlock(code: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [PYTHON, "-I", "-S", "-c", WITHOUT_LANDLOCK, "-c", code], user=ANNE, group=VIEWER_GID,
        extra_groups=[], capture_output=True, text=True, timeout=20, env={"HOME": str(HOME)})


def test_without_landlock_the_viewer_runs_says_so_and_starts_no_program() -> None:
    isolate()
    ran = run_without_landlock("print('up')")
    assert ran.stdout == "up\n"
    assert "not confined" in ran.stderr
    assert run_without_landlock("import os; os.execv('/usr/bin/true', ['true'])").returncode != 0


def test_without_landlock_code_in_the_viewer_reaches_its_user_s_console_alone_and_in_its_time(
        ) -> None:
    workstation = office()  # before the checkout, which may lie in /tmp, is hidden
    isolate()
    library = HOME / "own.so"
    connect = f"""
import ctypes, socket; ctypes.CDLL({str(library)!r})
for address, port in {[(V4, port) for port in (GUARDED_PORT, OTHER_GUARDED_PORT)]}:
    try:
        with socket.create_connection((address, port), 2): print("yes", end=" ")
    except OSError as error:
        print(type(error).__name__, end=" ")
"""
    now = time.time()

    def reached(policy: str) -> list[str]:
        workstation.policy(policy)
        workstation.log_in("3", "anne", hint=True)
        ran = run_without_landlock(connect)
        assert "not confined" in ran.stderr
        workstation.log_out("3")
        return ran.stdout.split()

    hers = "{user: anne, console: first"
    in_time, too_late = (f"{hers}, when: {window(now - 60, now + end)}" for end in (600, -5))
    assert hers in OFFICE
    assert reached(OFFICE.replace(hers, in_time).replace("group: staff", "group: nobody")) == [
        "yes", REFUSED]
    assert reached(OFFICE.replace(hers, too_late).replace("group: staff", "group: nobody")) == [
        REFUSED, REFUSED]
    assert run_without_landlock(connect).stdout.split() == [REFUSED, REFUSED], "logged out"


def test_status_and_setup_say_where_there_is_no_landlock(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    office()
    said = []
    for number in (444, 9999):
        monkeypatch.setattr(landlock, "_CREATE_RULESET", number)
        main(["status"])
        said.append("NOT CONFINED" in capsys.readouterr().out)
        said.append(any("not be confined" in note for note in setup_notes()))
        main(["status", "--json"])
        said.append(json.loads(capsys.readouterr().out)["viewer"]["confined"])
    assert said == [False, False, True, True, True, False]


def test_root_and_half_a_user_are_refused() -> None:
    isolate()
    assert "The viewer must be run by a user" in confined("print('up')", uid=0, gid=0)


def test_without_the_viewer_s_group_it_does_not_start() -> None:
    isolate()
    assert "Permission denied" in confined("print('up')", gid=ANNE)
