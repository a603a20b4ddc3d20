"""Other processes of the same user that look into his viewer, or take something out of it."""

from tests.attacks.attempt import Seen, attack
from tests.attacks.lab.stage import SPARE_SCREEN, Stage

_TAKE_SOCKET = """\
import ctypes, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
process = os.pidfd_open(int(sys.argv[1]))
for number in range(3, 60):
    got = libc.syscall(438, process, number, 0)  # pidfd_getfd
    if got >= 0 and os.path.islink(f"/proc/self/fd/{got}"):
        if os.readlink(f"/proc/self/fd/{got}").startswith("socket:"):
            taken = socket.socket(fileno=got)
            if taken.family in (socket.AF_INET, socket.AF_INET6):
                print("took a socket to port", taken.getpeername()[1])
"""
_READ_MEMORY = """\
import sys
pid = sys.argv[1]
for line in open(f"/proc/{pid}/maps"):
    if "[heap]" in line:
        start, end = (int(word, 16) for word in line.split()[0].split("-"))
        with open(f"/proc/{pid}/mem", "rb") as memory:
            memory.seek(start)
            print("read", len(memory.read(end - start)) == end - start)
"""


def _viewer(stage: Stage) -> str:
    """The pid of a viewer that has its connection to the server."""
    stage.at_desk()
    stage.start(stage.viewer())
    assert stage.reached("debianx").through, "his viewer opens his console"
    return _pid(stage)


def _pid(stage: Stage) -> str:
    return stage.box.run(["pgrep", "-x", "remote-viewer"]).stdout.split()[-1]


@attack("He traces his viewer with strace", threat=10)
def test_the_viewer_cannot_be_traced(stage: Stage) -> Seen:
    pid = _viewer(stage)
    ran = stage.type(f"timeout 1 strace -f -e trace=none -o /dev/null -p {pid}")
    traced = "attached" in ran.text
    return Seen(traced, "the viewer was traced" if traced else "the kernel refused to trace it")


@attack("He starts sudo and the viewer under strace", threat=10)
def test_the_viewer_cannot_be_started_under_a_tracer(stage: Stage) -> Seen:
    stage.at_desk()
    stage.start(f"export DISPLAY={SPARE_SCREEN}; strace -f -e connect -o ~/traced "
                f"{stage.viewer_words()}")
    stage.afterwards("rm -f ~myself/traced")
    return stage.reached("debianx", 2, otherwise="the viewer was not started")


@attack("He takes the viewer's connection out of it with pidfd_getfd", threat=10)
def test_the_viewers_sockets_cannot_be_taken(stage: Stage) -> Seen:
    stage.at_desk()
    stage.open_console()
    pid = _pid(stage)
    stage.box.write_file("/home/myself/take.py", _TAKE_SOCKET)
    # Outside of his login: the lab's container forbids the call in it. His ids are what counts.
    took = "port 20002" in stage.box.run(["python3", "-I", "/home/myself/take.py", pid],
                                         user="myself").stdout
    return Seen(took, "he held the viewer's connection" if took
                else "the kernel gave none of its sockets away")


@attack("He reads the viewer's memory in /proc", threat=10)
def test_the_viewers_memory_cannot_be_read(stage: Stage) -> Seen:
    pid = _viewer(stage)
    stage.box.write_file("/home/myself/read.py", _READ_MEMORY)
    read = "read True" in stage.type(f"python3 -I ~/read.py {pid}").text
    return Seen(read, "he read its heap" if read else "the kernel refused to open it")


@attack("He ends his viewer with a signal that dumps core, and looks for the core file", threat=10)
def test_the_viewer_leaves_no_core(stage: Stage) -> Seen:
    stage.at_desk()
    stage.type("mkdir -p ~/dumps; cd ~/dumps; ulimit -c unlimited")
    stage.afterwards("rm -rf ~myself/dumps")
    stage.forget_who_is_there()
    stage.start(stage.viewer())
    assert stage.reached("debianx").through, "his viewer opens his console"
    stage.type("pkill -SEGV -x remote-viewer; sleep 1")
    found = stage.type("find / -xdev -name 'core*' -type f -user myself 2>/dev/null").text
    return Seen("core" in found, "a core file was left to him" if "core" in found
                else "no core file was written")
