"""The console's own password."""

from tests.attacks.attempt import Seen, attack
from tests.attacks.lab.stage import Stage


@attack("A colleague looks for the console's password in the process list, the journal, /tmp and "
        "the user's readable files while the console is open", 18, control=False)
def test_the_consoles_password_is_nowhere_to_be_read(stage: Stage) -> Seen:
    """Its own control: a process that has the password as an argument is found."""
    stage.at_desk()
    stage.open_console()
    password = stage.lab.server.consoles["debianx"].password
    stage.box.write_file("/home/mybro/search", _SEARCH, mode=0o755)
    stage.afterwards("rm ~mybro/search")

    def found() -> str:
        # The pattern is told on a pipe, or the search would find itself.
        return stage.box.run(["/home/mybro/search"], user="mybro", stdin=password,
                             check=False).stdout.strip()

    seen = found() + stage.box.run(["journalctl", "--no-pager", "-q", "--grep", password],
                                   check=False).stdout
    held = stage.hold(f"exec -a 'viewer password={password}' sleep 20", user="myself")
    stage.box.run(["sleep", "0.2"])
    assert found(), "a password among a process's arguments is found"
    held.kill()
    return Seen(bool(seen), "it was found" if seen else "it was nowhere")


_SEARCH = """\
#!/bin/bash
read -r word
exec 3< <(printf %s "$word")
grep -lsaF -f /dev/fd/3 /proc/[0-9]*/cmdline /proc/[0-9]*/environ
exec 3< <(printf %s "$word")
grep -rlsaF -f /dev/fd/3 /tmp /var/tmp /run /var/log /home/myself --exclude-dir=netns
"""
