"""The page in a real browser: what it shows, how it is searched, and that nothing in it acts on a reader."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from case_results import changed, stored_record, two_sides
from test_report import EVIL, evil_record

from harness.cases import Outcome
from harness.report.html import render_page
from harness.runs.record import RunRecord

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="this system has no Chromium")

QUIET = (
    "--no-sandbox",  # the tests may run as root; the pages are ours
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


CONTRAST = """() => {
  const linear = (v) => v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4;
  const light = (rgb) => rgb.reduce((sum, v, i) => sum + linear(v) * [0.2126, 0.7152, 0.0722][i], 0);
  const parse = (text) => {
    const numbers = text.match(/[\\d.]+/g).map(Number);
    return numbers.length > 3 && numbers[3] === 0 ? null : numbers.slice(0, 3);
  };
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor);
      if (colour) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), node = walker.currentNode.parentElement;
    if (!text || !node.checkVisibility() || node.closest("script")) continue;
    const a = light(parse(getComputedStyle(node).color)), b = light(ground(node));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push([ratio.toFixed(2), node.className, text.slice(0, 30)]);
  }
  return found;
}"""
"""Texts whose contrast with what they stand on is below 4.5, with it."""


def record() -> RunRecord:
    """Sixty cases: ten worsened, one of them invalid, two improved; every fourth is hard."""
    ours, theirs = two_sides([0.0] * 10 + [1.0] * 50, [1.0] * 58 + [0.0] * 2)
    ours = changed(ours, 1, outcome=Outcome.INVALID, explanation="no JSON object")
    ours = changed(ours, 0, outputs=("the parcel comes in three days",), target="five days")
    theirs = changed(theirs, 0, outputs=("the parcel comes in five days",), target="five days")
    sides = [
        [replace(result, tags=("hard",) if i % 4 == 0 else ()) for i, result in enumerate(side)]
        for side in (ours, theirs)
    ]
    return stored_record(*sides)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield chromium
        chromium.close()


class Visit:
    """A page that is open, and what it did besides."""

    def __init__(self, browser: Any, path: Path, *, place: str = "", **settings: Any) -> None:
        self.page = browser.new_context(**settings).new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(f"dialog {dialog.message}"))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(f"{path.as_uri()}{place}")
        self.page.wait_for_selector("html[data-ready]")

    def ids(self) -> list[str]:
        names = self.page.locator("#case-list b").all_inner_texts()
        return [str(name) for name in names]

    def count(self) -> str:
        return str(self.page.locator("#count").inner_text())


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    page = tmp_path_factory.mktemp("page") / "report.html"
    page.write_text(render_page(record()), encoding="utf-8")
    return page


@pytest.fixture
def visit(browser: Any, path: Path) -> Iterator[Visit]:
    opened = Visit(browser, path, viewport={"width": 1280, "height": 900})
    yield opened
    assert opened.complaints == []
    assert [url for url in opened.requests if not url.startswith(("file:", "data:"))] == []
    opened.page.context.close()


def test_the_first_screen_has_decision_reason_and_matrix(visit: Visit) -> None:
    page = visit.page
    assert page.locator("h1").inner_text() == "A checkpoint regressed"
    for selector in (".leads", ".matrix"):
        box = page.locator(selector).bounding_box()
        assert box["y"] + box["height"] < 900
    assert "−13.3 points" in page.locator(".matrix").inner_text()
    assert page.evaluate("scrollY") == 0


def test_worsened_cases_come_first_and_filters_narrow(visit: Visit) -> None:
    page = visit.page
    assert visit.count() == "60 of 60 cases"
    assert visit.ids()[:10] == [f"case-{i:04}" for i in range(10)]
    page.select_option("#by-flip", "improved")
    assert visit.ids() == ["case-0058", "case-0059"]
    page.select_option("#by-flip", "worsened")
    page.select_option("#by-tag", "hard")
    assert visit.ids() == ["case-0000", "case-0004", "case-0008"]
    page.click("#filters button[type=reset]")
    page.wait_for_function("document.getElementById('count').textContent.startsWith('60')")
    page.select_option("#by-outcome", "invalid")
    assert visit.ids() == ["case-0001"]
    assert "no JSON object" in page.locator("#case-detail").inner_text()


def test_search_finds_words_of_answers(visit: Visit) -> None:
    visit.page.fill("#search", "parcel THREE")
    assert visit.ids() == ["case-0000"]
    visit.page.fill("#search", "no such words anywhere")
    assert visit.ids() == []
    assert "No case fits." in visit.page.locator("#case-detail").inner_text()


def test_answers_differ_by_words_and_checks_say_what_was_expected(visit: Visit) -> None:
    visit.page.click("#case-list li:first-child a")
    detail = visit.page.locator("#case-detail")
    assert detail.locator("del").all_inner_texts() == ["five"]
    assert detail.locator("ins").all_inner_texts() == ["three"]
    text = detail.inner_text()
    for expected in ("question case-0000", "five days", "missed · score 0.0", "passed · score 100.0"):
        assert expected in text
    assert "pytest --model=checkpoint-300 --baseline=base -k case-0000-" in text


def test_keys_move_and_a_link_leads_back(visit: Visit, browser: Any, path: Path) -> None:
    page = visit.page
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    assert page.locator("#case-detail h3").inner_text() == "case-0001"
    place = page.evaluate("location.hash")
    other = Visit(browser, path, place=place, viewport={"width": 1280, "height": 900})
    assert other.page.locator("#case-detail h3").inner_text() == "case-0001"
    other.page.context.close()


@pytest.mark.parametrize("width", [390, 820, 1920])
def test_nothing_is_wider_than_the_window(width: int, browser: Any, path: Path) -> None:
    visit = Visit(browser, path, viewport={"width": width, "height": 844})
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    for selector in (".matrix", ".numbers"):
        box = visit.page.locator(selector).bounding_box()
        assert box["x"] + box["width"] <= width, selector
    visit.page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(scheme: str, browser: Any, path: Path) -> None:
    """Contrast of at least 4.5 (WCAG 2.2, 1.4.3) wherever text stands."""
    visit = Visit(browser, path, color_scheme=scheme, viewport={"width": 1280, "height": 900})
    faint = visit.page.evaluate(CONTRAST)
    assert faint == []
    visit.page.context.close()


def test_everything_that_takes_input_has_a_name(visit: Visit) -> None:
    nameless = visit.page.evaluate(
        """() => [...document.querySelectorAll("input, select, button, a, [role=region]")]
  .filter((e) => e.checkVisibility() && !(e.labels && e.labels.length) && !e.textContent.trim()
    && !e.getAttribute("aria-label") && !e.getAttribute("aria-labelledby"))
  .map((e) => e.outerHTML.slice(0, 80))"""
    )
    assert nameless == []
    headings = visit.page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map((h) => +h.tagName[1])")
    assert headings[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(headings))


def test_print_shows_evidence_and_no_controls(browser: Any, path: Path) -> None:
    visit = Visit(browser, path, viewport={"width": 1000, "height": 900})
    visit.page.emulate_media(media="print")
    visit.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert not visit.page.locator("#filters").is_visible()
    assert visit.page.locator("section.verdict pre").first.is_visible()
    assert visit.page.evaluate("[...document.querySelectorAll('main details')].every((d) => d.open)")
    visit.page.context.close()


def test_hostile_text_is_shown_and_does_nothing(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "evil.html"
    path.write_text(render_page(evil_record()), encoding="utf-8")
    visit = Visit(browser, path, viewport={"width": 1280, "height": 900})
    visit.page.keyboard.press("j")
    detail = visit.page.locator("#case-detail").inner_text()
    assert "<script>alert(1)</script>" in detail
    assert "<img src=x onerror=alert(1)>" in detail
    assert visit.page.locator("#case-detail script, #case-detail img").count() == 0
    visit.page.fill("#search", EVIL[:20])
    assert visit.complaints == []
    assert [url for url in visit.requests if not url.startswith(("file:", "data:"))] == []
    visit.page.context.close()


def test_a_script_that_is_not_the_pages_own_is_refused(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "changed.html"
    text = render_page(record()).replace("</footer>", "</footer><script>document.title = 'taken'</script>")
    path.write_text(text, encoding="utf-8")
    visit = Visit(browser, path)
    assert visit.page.title() != "taken"
    assert any("Content Security Policy" in complaint for complaint in visit.complaints)
    visit.page.context.close()
