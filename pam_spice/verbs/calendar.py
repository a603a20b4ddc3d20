"""``pam-spice calendar``: a week of the policy as a chart."""

import argparse
import sys
import time

from pam_spice import paths
from pam_spice.calendar_html import html_page
from pam_spice.calendar_svg import svg_document
from pam_spice.chart import Chart, chart_of, week_at
from pam_spice.verbs import YES, UsageError, need_policy
from pam_spice.verbs.explain import add_asker, find_console, groups_of

STDOUT = "-"


def add_parser(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the verb."""
    parser = verbs.add_parser(
        "calendar", help="show a week as a chart",
        description="Shows who may reach which console in a week, where nobody may and where "
                    "several may at once: in the terminal, or as a picture for a browser.")
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--console", metavar="CONSOLE", help="this console only")
    one.add_argument("--user", metavar="USER",
                     help="the consoles of this user, by his own grants and his groups'")
    parser.add_argument("--week", metavar="YYYY-Www", help="like 2026-W43; default: this week")
    parser.add_argument("--output", metavar="FILE",
                        help="write a picture: FILE.svg or FILE.html; - prints SVG")
    add_asker(parser)
    parser.add_argument("--policy", metavar="FILE",
                        help=f"ask this policy, not {paths.POLICY}; needs no root")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0, also where the chart is empty."""
    if arguments.groups is not None and arguments.user is None:
        raise UsageError("--groups says whose groups: give --user too")
    output = arguments.output
    if output is not None and output != STDOUT and not output.endswith((".svg", ".html")):
        raise UsageError(f"{output!r} tells no format: end it in .svg or .html")
    chart = _chart(arguments)
    if output is None:
        _print(chart)
    elif output == STDOUT:
        # The picture is UTF-8 whatever this terminal speaks.
        sys.stdout.buffer.write(svg_document(chart).encode())
    else:
        page = html_page(chart) if output.endswith(".html") else svg_document(chart)
        try:
            with open(output, "w", encoding="utf-8") as file:
                file.write(page)
        except OSError as error:
            raise UsageError(f"{output}: {error.strerror}") from None
    return YES


def _chart(arguments: argparse.Namespace) -> Chart:
    policy = need_policy(arguments.policy)
    now = int(time.time())
    console = find_console(policy, arguments.console) if arguments.console else None
    groups = groups_of(arguments.user, arguments.groups) if arguments.user else frozenset()
    try:
        return chart_of(policy, arguments.week or week_at(now, policy.timezone), now,
                        arguments.workstation, console, arguments.user, groups)
    except ValueError as error:
        raise UsageError(f"{error}: write --week 2026-W43") from None


def _print(chart: Chart) -> None:
    # rich is imported here and nowhere else: no other verb has to wait for it or to have it.
    try:
        from rich.console import Console

        from pam_spice.calendar_terminal import print_chart
    except ImportError:
        raise UsageError("the chart in the terminal needs the Python library rich: "
                         "apt install python3-rich, or give --output FILE.html") from None
    print_chart(chart, Console(markup=False, emoji=False, highlight=False))
