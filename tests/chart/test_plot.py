"""Curves, marks, bars and whiskers over two axes."""

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easymo.chart.plot import Axis, Series, linear_axis, log_axis, plot

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*series: Series, x: Axis | None = None, y: Axis | None = None) -> ElementTree.Element:
    """The parsed figure."""
    figure = plot(
        series,
        x or linear_axis("round", 10),
        y or linear_axis("ms", 100),
        title="A title & more",
        description="what the picture shows, in words",
    )
    return ElementTree.fromstring(figure.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" '))


def picture(figure: ElementTree.Element) -> ElementTree.Element:
    return figure.findall(f"{SVG}svg")[0]


def test_a_picture_says_in_words_what_it_shows() -> None:
    svg = picture(drawn(Series("before", 0, "curve", [(0, 1), (10, 2)])))
    assert svg.get("role") == "img"
    assert svg.get("aria-label") == svg.findtext(f"{SVG}desc") == "what the picture shows, in words"
    assert svg.findtext(f"{SVG}title") == "A title & more"


def test_the_legend_names_each_series_once_and_leaves_nameless_ones_out() -> None:
    figure = drawn(
        Series("before", 0, "curve", [(0, 1)]), Series("", 0, "dotted", [(0, 1)]), Series("before", 0, "held", [(0, 1)])
    )
    assert ["".join(item.itertext()) for item in figure.findall("ul/li")] == ["before"]


def test_what_lies_outside_of_an_axis_is_drawn_at_its_end() -> None:
    svg = picture(drawn(Series("x", 0, "held", [(99, -5), (10, 0)])))
    outside, inside = ((dot.get("cx"), dot.get("cy")) for dot in svg.iter(f"{SVG}circle"))
    assert outside == inside


@pytest.mark.parametrize(("kind", "tag"), [("held", "circle"), ("failed", "path"), ("bars", "path")])
def test_every_point_of_a_series_is_drawn(kind: str, tag: str) -> None:
    points = [(float(n), 10.0 * n + 1) for n in range(5)]
    svg = picture(drawn(Series("x", 1, kind, points)))  # type: ignore[arg-type]
    marks = [node for node in svg.iter(f"{SVG}{tag}") if "look1" in node.get("class", "")]
    pieces = sum(node.get("d", "Z").count("Z") for node in marks) if kind == "bars" else len(marks)
    assert pieces == 5


def test_a_band_encloses_its_curve() -> None:
    points, band = [(0.0, 50.0), (10.0, 60.0)], [(0.0, 40.0, 70.0), (10.0, 50.0, 80.0)]
    svg = picture(drawn(Series("x", 0, "curve", points, band)))
    [area] = [node for node in svg.iter(f"{SVG}path") if "band" in node.get("class", "")]
    [line] = [node for node in svg.iter(f"{SVG}path") if "line" in node.get("class", "")]
    heights = [float(place.split()[1]) for place in area.get("d", "").strip("MZ").split("L")]
    ends = [float(place.split()[1]) for place in line.get("d", "").strip("M").split("L")]
    assert heights[0] < ends[0] < heights[-1]
    assert heights[1] < ends[1] < heights[2]


@given(st.floats(1e-3, 1e6), st.floats(1.0, 1e5))
def test_a_logarithmic_axis_holds_its_values_and_marks_some(lowest: float, factor: float) -> None:
    axis = log_axis("ms", lowest, lowest * factor)
    assert axis.low <= lowest * (1 + 1e-9)
    assert axis.high >= lowest * factor * (1 - 1e-9)
    assert axis.ticks
    assert all(axis.low <= value <= axis.high for value, _ in axis.ticks)
    assert [axis.at(value) for value, _ in axis.ticks] == sorted(axis.at(value) for value, _ in axis.ticks)


@given(st.floats(0, 1e9))
def test_a_linear_axis_begins_at_nothing_and_ends_above_the_highest(highest: float) -> None:
    axis = linear_axis("requests/s", highest)
    assert axis.at(0) == 0
    assert axis.high >= highest * (1 - 1e-9)
    assert 2 <= len(axis.ticks) <= 6
