"""What the drawings show; how they look is for a browser."""

from __future__ import annotations

import subprocess
import sys
from xml.etree import ElementTree as ET

import pytest

from tests.tidy.sources import ROOT
from worker.reports.page import charts
from worker.reports.page.charts import Bar, fitting
from worker.reports.page.summary import Flow

DAYS = [Bar(f"{day} April 2026", Flow(day * 10, day * 3 if day % 2 else 0, 1)) for day in range(1, 31)]


def _drawn(drawing: str, kind: str) -> int:
    return sum(path.get("class") == kind for path in ET.fromstring(drawing).iter("path"))


def test_a_month() -> None:
    wide, narrow = charts.days(DAYS, 0, "a month")
    for drawing in (wide, narrow):
        assert _drawn(drawing, "fill-entered") == 30
        assert _drawn(drawing, "fill-exited") == 15, "no bar where nobody left"
        assert _drawn(drawing, "fill-ahead") == 0
        assert "<title>7 April 2026: 70 entered, 21 exited, net +49</title>" in drawing
    assert len(wide) > len(narrow)


def test_days_to_come() -> None:
    for drawing in charts.days(DAYS, 12, "a month"):
        assert _drawn(drawing, "fill-ahead") == 1


def test_a_ranking_shows_each_bar_with_its_value() -> None:
    bars = [Bar("one", Flow(12_345, 0, 0)), Bar("two", Flow(1, 2, 0)), Bar("three", Flow(0, 0, 9))]
    for drawing in charts.ranking(bars, "three"):
        assert (_drawn(drawing, "fill-entered"), _drawn(drawing, "fill-exited")) == (2, 1)
        shown = [text.text for text in ET.fromstring(drawing).iter("text")]
        assert shown == ["+12.3k", "one", "+1", "−2", "two", "three"]


def test_a_drawing_is_one_element_for_readers_and_for_the_policy() -> None:
    for drawing in (*charts.days(DAYS, 3, 'a "month" <b>'), *charts.ranking(DAYS[:2], 'a "month" <b>')):
        root = ET.fromstring(drawing)
        assert (root.get("role"), root.get("aria-label")) == ("img", 'a "month" <b>')
        assert {element.tag for element in root.iter()} <= {"svg", "g", "path", "text", "title"}
        attributes = {name for element in root.iter() for name in element.attrib}
        assert not attributes & {"style", "id", "href", "clip-path"}
        assert not any("url(" in value for element in root.iter() for value in element.attrib.values())
        assert all(element.get("class") for element in root.iter("path"))


@pytest.mark.parametrize("name", ["$a$ <b> & \"c\" 'd'", r"$\frac{1}{0$", "100 $ % _ ^ { }", "\\n", "{{ x }}"])
def test_names_are_drawn_as_they_are(name: str) -> None:
    for drawing in charts.ranking([Bar(name, Flow(1, 1, 1))], "label"):
        assert [text.text for text in ET.fromstring(drawing).iter("text")][-1] == name


def test_long_names_keep_their_ends() -> None:
    assert fitting("a" * 34) == "a" * 34
    assert fitting("begin" + "x" * 245 + "end-7") == "beginxxxxxxxxxxxxxxxxx…xxxxxxend-7"
    assert fitting("名" * 20) == "名" * 11 + "…" + "名" * 5
    assert fitting("a\x00b") == "a�b"


def test_numbers_as_large_as_the_database_has() -> None:
    flow = Flow(2**63 - 1, 2**63 - 1, 0)
    for drawing in (*charts.ranking([Bar("a", flow)], "a"), *charts.days([Bar("a", flow)] * 28, 0, "a")):
        assert "nan" not in drawing
        assert "9.2E" in drawing or "E</text>" in drawing


def test_the_same_everywhere() -> None:
    """Another process, with other settings of matplotlib's, another locale and another order of hashes."""
    code = (
        "from tests.unit.reports.page.test_charts import *\n"
        "import matplotlib\n"
        "matplotlib.rcParams.update({'axes.facecolor': 'red', 'font.size': 30, 'svg.fonttype': 'path'})\n"
        "sys.stdout.buffer.write(''.join(charts.days(DAYS, 3, 'a')).encode())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PYTHONHASHSEED": "7", "LC_ALL": "C", "TZ": "Asia/Tokyo"},
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.decode() == "".join(charts.days(DAYS, 3, "a"))
