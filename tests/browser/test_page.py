"""The page in a real browser: on a desk and on a phone, light, dark and on paper."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.async_api import Page

from tests.browser.conftest import Scheme, Show
from tests.support import summaries
from worker.reports.page.summary import Summary

DESK, PHONE = 1280, 360
ALL = ("busy", "partial", "many", "hostile", "quiet", "empty")
CONTRAST = """
selector => {
  const parts = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, place) => sum + c * [0.2126, 0.7152, 0.0722][place], 0);
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const found = parts(getComputedStyle(at).backgroundColor);
      if (found.length === 3 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll(selector)].filter(element => element.getClientRects().length).map(element => {
    const own = getComputedStyle(element);
    const shade = element.closest("svg") ? (own.fill === "none" ? own.stroke : own.fill) : own.color;
    const [low, high] = [light(parts(shade)), light(behind(element))].sort((a, b) => a - b);
    return [(high + 0.05) / (low + 0.05), element.outerHTML];
  });
}
"""
TEXTS = """() => [...document.querySelectorAll("svg text")].filter(text => text.getClientRects().length).map(text => {
  const own = text.getBoundingClientRect(), all = text.closest("svg").getBoundingClientRect();
  const scale = all.width / text.closest("svg").viewBox.baseVal.width;
  const isInside = own.left > all.left - 2 && own.right < all.right + 2;
  return [text.textContent, parseFloat(getComputedStyle(text).fontSize) * scale, isInside];
})"""
TEXT = "h1, h2, p, dt, dd, th, td, a, code, summary, figcaption, figcaption .key, .deleted, svg text"
DRAWN = "svg .fill-entered, svg .fill-exited, svg .stroke-ink"


def _summary(name: str) -> Summary:
    made = getattr(summaries, name)()
    assert isinstance(made, Summary)
    return made


async def _faint(page: Page, selector: str, contrast_min: float) -> list[tuple[float, str]]:
    """What can't be told from what is behind it."""
    found: list[tuple[float, str]] = await page.evaluate(CONTRAST, selector)
    assert found
    return [(contrast, element) for contrast, element in found if contrast < contrast_min]


@pytest.mark.parametrize("width", [DESK, PHONE])
@pytest.mark.parametrize("name", ALL)
async def test_it_fits_asks_for_nothing_and_breaks_no_policy(show: Show, name: str, width: int) -> None:
    shown = await show(_summary(name), width, "light")
    assert await shown.page.evaluate("document.documentElement.scrollWidth") <= width
    await shown.page.evaluate("document.querySelector('details')?.setAttribute('open', '')")
    assert await shown.page.evaluate("document.documentElement.scrollWidth") <= width
    assert shown.complaints == []
    assert shown.requests == [shown.page.url]


@pytest.mark.parametrize("width", [DESK, PHONE])
async def test_what_is_to_be_seen(show: Show, width: int) -> None:
    summary = summaries.busy()
    page = (await show(summary, width, "light")).page
    figures = page.locator(".figures")
    for value in (summary.active, summary.total.entered, summary.total.exited, summary.total.renewed, summary.rows):
        assert await figures.get_by_text(f"{value:,}", exact=True).first.is_visible()
    assert await page.get_by_role("link", name=summary.file_name).get_attribute("href") == summary.file_link
    assert await page.get_by_role("img").count() == 3, "one drawing of each chart, the one for this width"
    for drawing in await page.get_by_role("img").all():
        box = await drawing.bounding_box()
        assert box is not None
        assert box["width"] > 0.6 * min(width, 900)
        assert box["height"] > 100
        assert len(await drawing.get_attribute("aria-label") or "") > 50


@pytest.mark.parametrize("width", [DESK, PHONE])
async def test_a_charts_text_can_be_read(show: Show, width: int) -> None:
    """And stands within the chart, also where numbers and names are as long as they get."""
    for summary in (summaries.busy(), summaries.hostile()):
        page = (await show(summary, width, "light")).page
        texts = await page.evaluate(TEXTS)
        assert len(texts) > 30
        assert [text for text, size, is_inside in texts if size < 9.5 or not is_inside] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["partial", "hostile", "empty"])
async def test_it_is_legible(show: Show, name: str, scheme: Scheme) -> None:
    page = (await show(_summary(name), DESK, scheme)).page
    assert await _faint(page, TEXT, 4.5) == []
    if name != "empty":
        assert await _faint(page, DRAWN, 3) == []


async def test_dark_is_dark(show: Show) -> None:
    back = "getComputedStyle(document.body).backgroundColor"
    dark, light = [
        await (await show(summaries.busy(), DESK, scheme)).page.evaluate(back) for scheme in ("dark", "light")
    ]
    assert (dark, light) == ("rgb(18, 20, 23)", "rgb(246, 246, 243)")


async def test_wide_tables_scroll_within_their_box(show: Show) -> None:
    page = (await show(summaries.busy(), PHONE, "light")).page
    box = page.locator(".scroll:has(.segments)")
    assert await box.evaluate("box => box.scrollWidth > box.clientWidth")
    await box.evaluate("box => box.scrollLeft = 10000")
    assert await box.get_by_role("columnheader").last.is_visible()
    first, last = [await box.get_by_role("columnheader").nth(place).bounding_box() for place in (0, -1)]
    assert first is not None
    assert last is not None
    assert 0 <= first["x"] < last["x"] < PHONE - last["width"], "names stay in view"


async def test_the_days_as_a_table_need_no_script(show: Show) -> None:
    page = (await show(summaries.busy(), PHONE, "light")).page
    assert not await page.get_by_text("17 March 2026", exact=True).is_visible()
    await page.get_by_text("The days as a table").click()
    assert await page.get_by_text("17 March 2026", exact=True).is_visible()


async def test_hostile_names_are_text(show: Show) -> None:
    summary = summaries.hostile()
    page = (await show(summary, DESK, "light")).page
    assert await page.locator("script, img, i, b, [onmouseover], [onerror]").count() == 0
    assert await page.get_by_role("link").count() == 0
    rows = page.locator(".segments tbody th")
    assert await rows.count() == len(summary.segments)
    assert (await rows.nth(0).inner_text()).startswith("<script>alert(1)</script>")


async def test_a_script_would_not_run(show: Show) -> None:
    """Nor would a picture load, had anything got past the escaping."""
    shown = await show(replace(summaries.empty(), source="/shop"), DESK, "light")
    await shown.page.evaluate("""() => {
      document.body.insertAdjacentHTML("beforeend", '<img src="http://127.0.0.1:9/x.png" onerror="window.ran = 1">');
      const script = document.createElement("script");
      script.textContent = "window.ran = 1";
      document.body.append(script);
    }""")
    assert await shown.page.evaluate("window.ran") is None
    assert len(shown.complaints) >= 2
    assert all("Content Security Policy" in complaint for complaint in shown.complaints)


async def test_on_paper(show: Show) -> None:
    page = (await show(summaries.many(), DESK, "dark")).page
    await page.emulate_media(media="print", color_scheme="dark")
    assert await page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert await _faint(page, TEXT, 4.5) == []
    foot = "getComputedStyle(document.querySelector('.segments tfoot')).display"
    assert await page.evaluate(foot) == "table-row-group", "the sum stands once, not on every sheet"
    assert (await page.pdf(prefer_css_page_size=True)).startswith(b"%PDF")
