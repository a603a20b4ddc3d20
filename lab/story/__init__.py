"""The story of the office: told by `make demo`, and what people see of it by `make demo-desktop`;
tested by tests/lab. One telling, two listeners.

A chapter is a function of a Stage; each of its lines is a fact and whether it was seen to hold.
Chapters stand alone: each begins with nobody logged in and the office's own policy.
"""

from lab.story import (
    attempts,
    audit,
    desktop,
    edits,
    evening,
    faults,
    hand,
    mending,
    own_code,
    windows,
)
from lab.story.stage import Chapter, Line, Stage

CHAPTERS: tuple[Chapter, ...] = (
    attempts.before_any_login,
    evening.myself_opens_debianx,
    attempts.only_the_viewer_gets_through,
    own_code.a_module_of_his_own_is_not_loaded,
    evening.mybro_waits_until_myself_has_left,
    windows.a_window_ends_with_every_process_stopped,
    windows.a_window_ends_with_the_watcher_running,
    windows.a_window_begins_with_every_process_stopped,
    edits.an_edit_counts_from_the_next_session,
    edits.a_broken_edit_opens_nothing,
    hand.a_file_of_policy_d_counts_like_the_policy,
    hand.the_admin_gives_and_takes_at_once,
    audit.what_happened_can_be_read_and_not_forged,
    hand.a_public_holiday_closes,
    hand.the_admin_asks_before_anyone_logs_in,
    mending.what_is_broken_is_mended,
    mending.a_reboot_closes_everything,
    attempts.no_seat_no_console,
    faults.a_login_works_whatever_fails,
)

DESKTOP: tuple[Chapter, ...] = (
    desktop.an_icon_leads_to_the_console,
    desktop.a_second_person_waits_for_the_first,
    desktop.who_leaves_a_question_opens_nothing,
    desktop.a_warning_needs_no_notifications,
    desktop.a_viewer_that_cant_connect_is_explained,
    desktop.on_wayland_it_is_the_same,
)

__all__ = ["CHAPTERS", "DESKTOP", "Chapter", "Line", "Stage"]
