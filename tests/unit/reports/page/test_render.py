"""What stands on the page."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import get_args
from xml.etree import ElementTree as ET

import pytest

from schemas.events import Reason
from tests.support import summaries
from tests.support.html import parse, rows, text
from worker.reports.page.render import REASONS, render
from worker.reports.page.summary import SEGMENTS_SHOWN_MAX, Flow, Summary

MONTHS = (
    summaries.busy,
    summaries.empty,
    summaries.quiet,
    summaries.partial,
    summaries.many,
    summaries.hostile,
)
LINKING = {"href", "src", "srcset", "action", "data", "poster", "background", "formaction", "xlink:href", "ping"}


def _page(summary: Summary) -> ET.Element:
    return parse(render(summary))


def _figures(page: ET.Element) -> dict[str, str]:
    return {text(item.find("dt")): text(item.find("dd")) for item in page.iterfind(".//dl[@class='figures']/div")}


def _table(page: ET.Element, section: str) -> list[list[str]]:
    return rows(page.find(f".//section[@aria-labelledby='{section}']//table"))


def test_head_and_figures() -> None:
    summary = summaries.busy()
    page = _page(summary)
    assert text(page.find(".//title")) == "Segments in March 2026, /segmentation"
    assert text(page.find(".//h1")) == "March 2026"
    assert page.find(".//p[@class='partial']") is None
    assert _figures(page) == {
        "active at the end": f"{summary.active:,}",
        "entered": f"{summary.total.entered:,}",
        "exited": f"{summary.total.exited:,}",
        "net": f"+{summary.total.net:,}",
        "renewed": f"{summary.total.renewed:,}",
        "rows in the file": f"{summary.rows:,}",
    }


def test_every_day_has_its_row() -> None:
    summary = replace(summaries.busy(), month=2, days=[(date(2026, 2, 3), Flow(1_000, 2_500, 7))])
    table = _table(_page(summary), "days")
    assert len(table) == 1 + 28
    assert table[3] == ["3 February 2026", "1,000", "2,500", "7", "−1,500"]
    assert table[4] == ["4 February 2026", "0", "0", "0", "0"]
    assert len(_table(_page(replace(summary, year=2028)), "days")) == 1 + 29


def test_segments_and_reasons() -> None:
    summary = summaries.busy()
    page = _page(summary)
    head, *body, foot = _table(page, "segments")
    assert head == ["segment", "entered", "exited", "renewed", "net", "active at the end"]
    assert [row[0].removesuffix(" deleted") for row in body] == [segment.segment for segment in summary.segments]
    assert {row[0] for row in body if row[0].endswith(" deleted")} == {
        f"{segment.segment} deleted" for segment in summary.segments if segment.is_deleted
    }
    for row, segment in zip(body, summary.segments, strict=True):
        assert row[1:4] == [f"{count:,}" for count in (segment.flow.entered, segment.flow.exited, segment.flow.renewed)]
        assert row[5] == f"{segment.active:,}"
    assert foot[1] == f"{summary.total.entered:,}"
    assert [row[0] for row in _table(page, "reasons")[1:-1]] == [reason for reason, _ in summary.reasons]


def test_a_name_that_was_used_again_says_which_is_which() -> None:
    summary = summaries.busy()
    first, second = summary.segments[:2]
    twice = replace(summary, segments=[first, replace(second, segment=first.segment)])
    names = [row[0] for row in _table(_page(twice), "segments")[1:3]]
    assert names == [f"{first.segment} {first.segment_id}", f"{first.segment} {second.segment_id}"]


def test_many_segments_and_the_others() -> None:
    table = _table(_page(summaries.many()), "segments")
    assert len(table) == SEGMENTS_SHOWN_MAX + 3
    assert table[-2] == ["1,357 more segments", "4,321", "1,234", "56", "+3,087", "9,876"]
    one = replace(summaries.many(), others_count=1)
    assert _table(_page(one), "segments")[-2][0] == "1 more segment"


def test_a_month_that_is_still_running() -> None:
    page = _page(summaries.partial())
    assert text(page.find(".//p[@class='partial']")) == "until 14 March 2026, 09:30 UTC, still running"
    assert "active when made" in _figures(page)
    assert "still to come" in text(page.find(".//section[@aria-labelledby='days']"))
    on_the_last = replace(summaries.partial(), made_at=datetime(2026, 3, 31, 23, 59, tzinfo=UTC))
    assert "still to come" not in text(_page(on_the_last))


@pytest.mark.parametrize(("summary", "said"), [(summaries.empty(), False), (summaries.quiet(), True)])
def test_a_month_without_changes(summary: Summary, said: bool) -> None:
    page = _page(summary)
    sentence = text(page.find(".//p[@class='empty']"))
    assert sentence.startswith("Nothing changed in March 2026: no membership was entered, exited or renewed.")
    assert sentence.endswith("The memberships that there were went on.") == said
    assert list(page.iter("svg")) == []
    assert (page.find(".//table[@class='segments']") is not None) == said
    running = _page(replace(summary, is_partial=True))
    assert text(running.find(".//p[@class='empty']")).startswith("Nothing changed in March 2026 so far:")


def test_a_month_in_which_memberships_were_only_renewed() -> None:
    flow = Flow(0, 0, 3)
    summary = replace(
        summaries.quiet(), rows=3, total=flow, days=[(date(2026, 3, 2), flow)], reasons=[("command", flow)]
    )
    page = _page(summary)
    assert list(page.iter("svg")) == []
    assert _table(page, "reasons")[1] == ["command", "0", "0", "3", "0"]


def test_the_file() -> None:
    summary = summaries.busy()
    section = _page(summary).find(".//section[@class='file']")
    assert section is not None
    link = section.find(".//a")
    assert link is not None
    assert (text(link), link.get("href")) == (summary.file_name, summary.file_link)
    said = text(section)
    assert summary.file_sha256 in said
    assert f"{summary.rows:,} rows" in said
    assert f"{summary.file_bytes:,} bytes" in said
    assert "1 April 2026, 00:17 UTC" in said


@pytest.mark.parametrize(
    "link", ["https://a.example/b?c=1&d=%22", "http://a.example", "file:///r/a%20b.csv", "HTTPS://A"]
)
def test_links_that_are_linked(link: str) -> None:
    found = _page(replace(summaries.empty(), file_link=link)).findall(".//a")
    assert [element.get("href") for element in found] == [link]


@pytest.mark.parametrize(
    "link",
    ["javascript:alert(1)", " javascript:alert(1)", "data:text/html,x", "//a.example", "java\tscript:x", "ftp://a"],
)
def test_links_that_are_only_shown(link: str) -> None:
    page = _page(replace(summaries.empty(), file_link=link))
    assert page.find(".//a") is None
    assert link.strip().partition("\t")[0] in text(page)


@pytest.mark.parametrize("month", MONTHS)
def test_it_needs_nothing_else(month: object) -> None:
    assert callable(month)
    summary = month()
    page = _page(summary)
    linking = {value for element in page.iter() for name, value in element.attrib.items() if name in LINKING}
    assert linking <= {summary.file_link}
    assert not {element.tag for element in page.iter()} & {"script", "link", "img", "iframe", "object", "embed", "base"}
    names = {name for element in page.iter() for name in element.attrib}
    assert "style" not in names
    assert not [name for name in names if name.startswith("on")]
    style = text(page.find(".//style"))
    assert not re.search(r"url\(|@import|https?:", style)


def test_the_policy_allows_the_one_style_sheet() -> None:
    page = render(summaries.busy())
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    allowed = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{allowed}'; base-uri 'none'; form-action 'none'" in page
    assert page.index("Content-Security-Policy") < page.index("<style>")
    assert page.startswith('<!doctype html>\n<html lang="en">')


def test_hostile_names_are_text() -> None:
    summary = summaries.hostile()
    page = _page(summary)
    assert not {element.tag for element in page.iter()} & {"script", "img", "b", "i"}
    names = [row[0].removesuffix(" deleted") for row in _table(page, "segments")[1:-1]]
    assert names[:-1] == [segment.segment for segment in summary.segments[:-1]]
    assert names[-1] == "a�b�[31mc�d"
    assert [row[0] for row in _table(page, "reasons")[1:-1]] == [reason for reason, _ in summary.reasons]
    assert page.find(".//tr/th[@title='segment_id id\"<b>0']") is not None


def test_every_reason_of_the_contract_is_explained() -> None:
    assert set(REASONS) == set(get_args(Reason))
    words = text(_page(summaries.busy()).find(".//section[@aria-labelledby='words']"))
    for word in (*REASONS, "entered", "exited", "renewed", "net", "active"):
        assert word in words


@pytest.mark.parametrize("month", [summaries.busy, summaries.hostile])
def test_the_same_summary_gives_the_same_page(month: object) -> None:
    assert callable(month)
    assert render(month()) == render(month())


def test_it_stays_small() -> None:
    assert len(render(summaries.busy()).encode()) < 100_000
    assert len(render(summaries.many()).encode()) < 150_000
