"""The colours of a chart's bars: the hues of Okabe and Ito, which colour-blind people can tell
apart. A colour never stands alone: bars have names or letters too."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Colour:
    """A bar's filling and outline, on light and on dark ground; text is dark on the light filling
    and white on the dark one."""

    light: str
    light_line: str
    dark: str
    dark_line: str


COLOURS = (
    Colour("#b5ddf5", "#1a6fa3", "#1f5d82", "#7cc5f0"),  # sky blue
    Colour("#f7d08a", "#8f5d00", "#7a5200", "#f0b43c"),  # orange
    Colour("#a5dfca", "#00664a", "#00573f", "#2fc79b"),  # bluish green
    Colour("#ecc6dc", "#8c3f6e", "#6f3a5a", "#e39ac2"),  # reddish purple
    Colour("#f3eb94", "#756b00", "#645e00", "#ece24a"),  # yellow
    Colour("#a3bfec", "#003f88", "#0a3f7d", "#74a8ea"),  # blue
    Colour("#f5b690", "#a03f00", "#7d3400", "#ff9a57"),  # vermilion
    Colour("#d6d6d6", "#555555", "#4c4c4c", "#b5b5b5"),  # grey
)
