"""The benchmark's charts: the same bytes each time, and text that is text."""

import xml.etree.ElementTree as ET

import pytest

from tests.bench.charts import draw
from tests.bench.measuring import Chart, Ratio, Series


def chart(number: int = 2, costs: tuple[float, ...] = (1.16, 1.41, 4.0, 29.0)) -> Chart:
    sizes = (2, 100, 1000, 10_000)
    return Chart("connect", "TCP connect to a user's console", "open chains", "times no firewall", [
        Series(f"rules <{each}> & more", [(size, Ratio(cost, 0.9 * cost, 1.1 * cost, 5))
                                          for size, cost in zip(sizes, costs, strict=False)])
        for each in range(number)])


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter()
            if element.tag == "{http://www.w3.org/2000/svg}text"]


def test_the_same_chart_is_the_same_file() -> None:
    assert draw(chart()) == draw(chart())


def test_title_axes_and_series_are_there_as_text() -> None:
    found = texts(draw(chart()))
    for text in ("TCP connect to a user's console", "open chains", "times no firewall",
                 "rules <0> & more", "rules <1> & more"):
        assert text in found


def test_each_size_has_its_tick_and_costs_are_plain_numbers() -> None:
    found = texts(draw(chart()))
    assert [text for text in found if text in ("2", "100", "1,000", "10,000")] == [
        "2", "100", "1,000", "10,000"]
    assert {"1x", "2x", "5x", "10x", "20x"} <= set(found)


def test_costs_of_a_few_percent_are_shown_on_a_scale_where_double_is_far() -> None:
    assert {"1x", "2x"} <= set(texts(draw(chart(1, (1.01, 1.02, 1.02, 1.03)))))


@pytest.mark.parametrize("number", [1, 12])
def test_no_series_is_left_out(number: int) -> None:
    found = texts(draw(chart(number)))
    assert sum(text.startswith("rules <") for text in found) == number


def test_a_single_size_can_be_drawn() -> None:
    assert "2" in texts(draw(chart(1, (1.5,))))


def test_nothing_in_the_file_tells_when_or_with_what_it_was_drawn() -> None:
    svg = draw(chart())
    assert "<dc:" not in svg
    assert "matplotlib.org" not in svg


def test_a_dark_page_gets_dark_ground_and_light_text() -> None:
    svg = draw(chart())
    assert "prefers-color-scheme: dark" in svg
    assert 'id="ground"' in svg
