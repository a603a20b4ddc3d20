"""No database of examples: a failure prints how to play it again."""

from pathlib import Path

import hypothesis
from hypothesis.configuration import set_hypothesis_home_dir

set_hypothesis_home_dir(Path(__file__).parents[2] / "build" / "hypothesis")
hypothesis.settings.register_profile("checkout", database=None, print_blob=True)
hypothesis.settings.load_profile("checkout")
