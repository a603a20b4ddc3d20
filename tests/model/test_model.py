"""The model test's short form: some hundreds of random steps, other ones each time; a failure
tells how to play it again."""

import random

from tests.model.rounds import play_for, workstation

_SECONDS = 15


def test_after_each_step_the_kernel_s_table_is_the_model_s() -> None:
    with workstation():
        play_for(_SECONDS, seed=random.SystemRandom().randrange(10**9), days=3)
