"""What a user's environment, and a site's own settings of sudo, bring into the viewer."""

from tests.attacks.attempt import Seen, attack
from tests.attacks.lab.own_code import LIBRARY
from tests.attacks.lab.stage import SPARE_SCREEN, Stage

_SETTINGS = f"[Settings]\ngtk-modules={LIBRARY}\n"


def _start_with(stage: Stage, variables: str) -> Seen:
    stage.start(f"export DISPLAY={SPARE_SCREEN} {variables}; {stage.viewer()}")
    return stage.own_code_ran()


def _site_adds(stage: Stage, line: str) -> None:
    stage.box.shell(f"cp -p /etc/sudoers /etc/sudoers.was; echo '{line}' >>/etc/sudoers")
    stage.afterwards("mv /etc/sudoers.was /etc/sudoers")


@attack("He sets LD_PRELOAD and LD_AUDIT to a library of his, and opens his console", threat=6)
def test_the_loaders_variables_do_not_arrive_in_the_viewer(stage: Stage) -> Seen:
    stage.at_desk()
    stage.put_own_code()
    return _start_with(stage, f"LD_PRELOAD={LIBRARY} LD_AUDIT={LIBRARY}")


@attack("He sets GTK_MODULES, GIO_EXTRA_MODULES, GST_PLUGIN_PATH and the like to places of his",
        threat=6)
def test_the_libraries_variables_do_not_arrive_in_the_viewer(stage: Stage) -> Seen:
    stage.at_desk()
    stage.put_own_code()
    home = "/home/myself"
    return _start_with(stage, f"GTK_MODULES={LIBRARY} GTK_PATH={home} GIO_EXTRA_MODULES={home} "
                              f"GST_PLUGIN_PATH={home} GDK_PIXBUF_MODULEDIR={home}")


@attack("He sets HOME and XDG_CONFIG_HOME to a place whose settings name a module of his",
        threat=6)
def test_settings_in_another_place_are_not_read(stage: Stage) -> Seen:
    stage.at_desk()
    stage.put_own_code()
    stage.box.write_file("/home/myself/else/.config/gtk-3.0/settings.ini", _SETTINGS)
    stage.afterwards("rm -r ~myself/else")
    return _start_with(stage, "HOME=~/else XDG_CONFIG_HOME=~/else/.config")


@attack("The site's sudoers keep GTK_MODULES for all commands, and he sets it", threat=6,
        control=False)
def test_a_variable_that_the_site_keeps_does_not_arrive_in_the_viewer(stage: Stage) -> Seen:
    stage.at_desk()
    stage.put_own_code()
    _site_adds(stage, 'Defaults env_keep += "GTK_MODULES"')
    return _start_with(stage, f"GTK_MODULES={LIBRARY}")


@attack("The site's sudoers switch env_reset off, and he sets GTK_MODULES", threat=6, control=False)
def test_without_the_sites_env_reset_nothing_arrives_in_the_viewer(stage: Stage) -> Seen:
    stage.at_desk()
    stage.put_own_code()
    _site_adds(stage, "Defaults !env_reset")
    return _start_with(stage, f"GTK_MODULES={LIBRARY}")


@attack("The site's sudoers let everybody set variables, and he sets LD_PRELOAD on sudo's command "
        "line", threat=6, control=False)
def test_variables_on_sudos_command_line_are_refused(stage: Stage) -> Seen:
    stage.at_desk()
    stage.put_own_code()
    _site_adds(stage, "Defaults setenv")
    stage.start(f"DISPLAY={SPARE_SCREEN} {stage.sudo(f'LD_PRELOAD={LIBRARY}')}")
    return stage.own_code_ran()


@attack("He sets SPICE_PROXY to a proxy of his colleague's, and opens his console")
def test_the_viewer_asks_no_proxy(stage: Stage) -> Seen:
    stage.at_desk()
    stage.hold("nc -l 3128 >/tmp/asked", user="mybro")
    stage.wait_for_listener(3128)
    stage.afterwards("rm -f /tmp/asked")
    stage.start(f"SPICE_PROXY=http://127.0.0.1:3128 {stage.viewer()}")
    stage.reached("debianx", 1.5)
    asked = "CONNECT" in stage.box.read_file("/tmp/asked")
    return Seen(asked, "the proxy was asked" if asked else "the proxy was not asked")
