"""Reports say what the verdicts say, and nothing in a model's text acts on a reader, a terminal or a CI."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html as html_module
import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from random import Random
from typing import Any

import pytest
from case_results import changed, stored_record, two_sides
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from harness.cases import Outcome
from harness.cli.main import app
from harness.exit_codes import Condition
from harness.gate.policy import Gate
from harness.report import figures, html, markdown
from harness.report.flips import flips
from harness.report.narrow_text import in_encoding
from harness.report.page_data import page_data
from harness.report.plain_text import first_line, one_line, printable, shorten, visible_lines
from harness.report.plot import DARK, LIGHT, delta_plot
from harness.report.table import verdict_table
from harness.report.terminal import flip_lines, reason_lines, slice_lines, suggestions, verdict_lines
from harness.report.unscored import unscored_lines
from harness.runs.record import RunRecord
from harness.runs.run_environment import Environment
from harness.runs.store import RunStore

EVIL = (
    "<script>alert(1)</script> \x1b[31m\x1b]0;title\x07 \r::set-output name=x::y ##vso[task.complete] "
    "\u202egnp </pre><img src=x onerror=alert(1)> ```` [a](javascript:x) @team #1 |x| {{ 7 * 7 }} \ud800 "
    "\x00 https://evil.test www.evil.test\n```\n<b>out of the block</b>\n````\n"
)


def evil_record() -> RunRecord:
    """A record in which everything that a model or a user can write is hostile."""
    names = {"suite": EVIL, "golden": EVIL, "test": EVIL, "checkpoint": EVIL, "tags": (EVIL,), "input": EVIL}
    ours, theirs = two_sides([0.0] * 12, [1.0] * 12, outputs=(EVIL,), explanation=EVIL, **names)
    ours = changed(ours, 3, case_id=EVIL)
    theirs = changed(theirs, 3, case_id=EVIL)
    record = stored_record(
        ours,
        theirs,
        environment=Environment(versions={EVIL: EVIL}, argv=(EVIL,), who=EVIL),
        conditions=(Condition(1, EVIL),),
    )
    return replace(record, checkpoints=tuple(replace(c, numerics={EVIL: EVIL}) for c in record.checkpoints))


def plain_record() -> RunRecord:
    ours, theirs = two_sides([0.0] * 20 + [1.0] * 80, [1.0] * 99 + [0.0])
    ours = changed(ours, 1, outcome=Outcome.INVALID)
    return stored_record([replace(r, tags=("hard",)) if i < 30 else r for i, r in enumerate(ours)], theirs)


# --- plain text ----------------------------------------------------------------------------------------


@given(st.text(st.characters(exclude_categories=()), max_size=60))
@settings(deadline=None)
def test_printable_text_is_one_line_without_controls(text: str) -> None:
    for shown in (printable(text), one_line(text), shorten(text, 20)):
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", shown)
        assert "::a" not in shown
        shown.encode("utf-8")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", visible_lines(text))


def test_ordinary_text_of_any_language_is_left_alone() -> None:
    for text in ("plain", "Größe – 3 × 4", "日本語", "مرحبا", "नमस्ते", "👩‍👩‍👧 ❤️", "a: b :: c # d"):
        assert printable(text) == text
    assert visible_lines("a\r\nb\tc\rd") == "a\nb\tc\\rd"


@pytest.mark.parametrize(
    "command",
    ["::add-mask::x", "::error file=a::b", "##[group]", "##vso[task]", "##teamcity[x]", "section_start:1:x"],
)
def test_ci_commands_are_broken_up(command: str) -> None:
    shown = printable(command)
    assert command[:6] not in shown
    assert shown.replace("\u200b", "") == command


def test_long_text_is_shortened() -> None:
    assert shorten("a b\n" * 1_000_000, 10) == "a b a b a…"
    assert shorten("short", 10) == "short"


def test_figures_never_say_zero_for_a_small_p_or_minus_zero() -> None:
    assert figures.p_value(1e-9) == "<0.0001"
    assert figures.p_value(None) == "–"
    assert figures.interval((-0.0004, 0.0004)) == "[0.0, 0.0]"


# --- terminal ------------------------------------------------------------------------------------------


def printed(record: RunRecord, width: int) -> str:
    console = Console(width=width, color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(verdict_table(record, width=width))
    return capture.get()


def test_the_table_has_the_evidence() -> None:
    shown = printed(plain_record(), 160)
    for expected in (
        "REGRESSED",
        "refunds",
        "checkpoint-300",
        "100",
        "80.0",
        "99.0",
        "−19.0",
        "+1/−20",
        "1 invalid",
    ):
        assert expected in shown


@pytest.mark.parametrize("width", [72, 80, 100, 120, 160])
def test_the_table_fits_its_terminal_and_loses_no_number(width: int) -> None:
    shown = printed(plain_record(), width)
    assert max(map(len, shown.splitlines())) <= width
    (verdict,) = plain_record().verdicts
    assert verdict.interval is not None
    for number in (
        "REGRESSED",
        "checkpoint-300",
        "100",
        "80.0",
        "99.0",
        "−19.0",
        figures.interval(verdict.interval),
        figures.p_value(verdict.p_value),
        "+1/−20",
        "1 invalid",
    ):
        assert number in shown, number


def test_each_verdict_is_one_line_that_can_be_split() -> None:
    (line,) = verdict_lines(plain_record())
    status, *fields = line.split(" reason=")[0].split()
    assert status == "REGRESSED"
    found = dict(field.split("=", 1) for field in fields)
    assert found["suite"] == "refunds"
    assert float(found["delta"]) == -0.19
    assert found["flips"] == "+1/-20"


def test_flips_show_both_answers_and_the_worst_first() -> None:
    record = plain_record()
    lines = flip_lines(record, limit=2)
    assert lines[0] == "refunds × checkpoint-300: 20 worsened, 1 improved"
    assert lines[1].startswith("  − case-0000  100.0 → 0.0")
    assert "answer of baseline to case-0000" in lines[2]
    assert "answer of candidate to case-0000" in lines[3]
    assert lines[-1].startswith("  … and 19 more")
    found = flips(record, record.verdicts[0])
    assert [flip.worsened for flip in found] == [True] * 20 + [False]


def test_a_flip_shows_first_lines_within_the_width() -> None:
    ours, theirs = two_sides([0.0] * 4, [1.0] * 4, outputs=("", ""), input="\n why?\nsecond line")
    ours = [replace(result, outputs=("wrong " * 40 + "\nrest",)) for result in ours]
    theirs = [replace(result, outputs=("right\nrest of it",)) for result in theirs]
    lines = flip_lines(stored_record(ours, theirs), limit=3, width=80)
    assert max(map(len, lines)) <= 82
    assert lines[1].endswith("  why? …")
    assert lines[2].endswith("right …")
    assert lines[3].endswith("…")
    assert "rest" not in "".join(lines)
    assert first_line("one") == "one"
    assert first_line("x" * 500, 10) == "x" * 9 + "…"


def test_what_has_no_score_is_grouped_by_reason_with_an_example() -> None:
    ours, theirs = two_sides([1.0] * 8 + [None] * 4, [1.0] * 12)
    for number in range(5):
        ours = changed(
            ours, number, outcome=Outcome.INVALID, samples=(0.0,), explanation=f"line {number}: no JSON"
        )
    ours = changed(
        ours, 5, outcome=Outcome.INVALID, samples=(0.0,), explanation="the answer is empty", outputs=("",)
    )
    for number in range(8, 12):
        ours = changed(ours, number, explanation=f"HTTP 503 after {number} tries")
    theirs = changed(theirs, 11, outcome=Outcome.ERROR, samples=(), explanation="HTTP 503")
    record = stored_record(ours, theirs)
    lines = unscored_lines(record)
    assert lines == [
        "refunds × checkpoint-300: 4 errors",
        "  4 × HTTP 503 after 8 tries",
        "      case-0008: (no answer)",
        "refunds × checkpoint-300: 6 invalid",
        "  5 × line 0: no JSON",
        "      case-0000: answer of candidate to case-0000",
        "  1 × the answer is empty",
        "      case-0005: (no answer)",
        "refunds × base (baseline): 1 error",
        "  1 × HTTP 503",
        "      case-0011: answer of baseline to case-0011",
    ]
    assert "  1 × 1 more reasons" in unscored_lines(record, limit=1)


def test_what_an_encoding_lacks_is_spelled() -> None:
    assert in_encoding("a × b\n−1.0 → Δ…\n日", "ascii") == "a x b\n-1.0 -> delta...\n\\u65e5"
    assert in_encoding("−", "utf-8") == "−"
    assert in_encoding("−", None) == "−"


def test_incomparable_and_undecided_cases_are_no_flips() -> None:
    ours, theirs = two_sides([0.0, 0.0, None], [1.0, 1.0, 1.0])
    record = stored_record(changed(ours, 0, content_hash="f" * 64), theirs)
    assert [flip.candidate.case_id for flip in flips(record, record.verdicts[0])] == ["case-0001"]


def test_slices_that_fell_are_told() -> None:
    assert slice_lines(plain_record())[0].startswith(
        "slice hard of refunds × checkpoint-300 fell: −66.7 points"
    )


def test_suggestions_say_what_to_do_next() -> None:
    ours, theirs = two_sides([1.0] * 30, [1.0] * 30)
    strict = stored_record(ours, theirs, gate=Gate(policy="non-inferior"))
    assert "about 134 cases would settle it, there are 30" in suggestions(strict)[0]
    assert "name a baseline with --baseline" in suggestions(stored_record(ours, []))[0]
    assert suggestions(stored_record(*two_sides([1.0] * 900, [1.0] * 900))) == []
    assert any("without -k" in line for line in suggestions(stored_record(ours, theirs, partial=True)))


def test_hostile_text_does_nothing_on_a_terminal() -> None:
    record = evil_record()
    shown = printed(record, 200) + "\n".join(
        [
            *verdict_lines(record),
            *flip_lines(record),
            *slice_lines(record),
            *suggestions(record),
            *reason_lines(record),
            *unscored_lines(record),
        ]
    )
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", shown)
    assert "::set-output" not in shown
    assert "##vso[" not in shown
    shown.encode("utf-8")


def test_hostile_text_does_nothing_in_what_commands_print(tmp_path: Path) -> None:
    record = evil_record()
    RunStore(tmp_path).write(record)
    for command, code in (
        (["compare", record.run, record.run], 10),
        (["baseline", "accept", record.run, "--blocked-too"], 0),
        (["baseline", "list"], 0),
    ):
        done = CliRunner().invoke(app, [*command, "--state", str(tmp_path)])
        assert done.exit_code == code, done.output
        for dangerous in ("\x1b", "\r", "\x07", "\u202e", "\n::set-output"):
            assert dangerous not in done.output


# --- markdown ------------------------------------------------------------------------------------------


def test_markdown_has_verdicts_flips_and_slices() -> None:
    text = markdown.render_markdown(plain_record(), limit=1)
    assert text.startswith("## Checkpoint Harness\n\n🔴 1 REGRESSED\n")
    row = next(line for line in text.splitlines() if "**REGRESSED**" in line)
    assert row.count("|") == 14
    assert "| −19.0 |" in row
    assert "### Slices that fell" in text
    assert "answer of baseline to case&#45;0000" in text or "answer of baseline to case-0000" in text
    assert "… and 20 more" in text


def test_hostile_text_is_no_markup_in_markdown() -> None:
    lines = markdown.render_markdown(evil_record()).splitlines()
    fence, outside = "", []
    for line in lines:
        opened = re.fullmatch(r"(`{3,})(text)?", line)
        if opened and not fence:
            fence = opened.group(1)
        elif fence:
            fence = "" if line == fence else fence
        else:
            outside.append(line)
    assert not fence
    prose = "\n".join(outside)
    allowed = {"details", "/details", "summary", "/summary", "sub", "/sub"}
    assert set(re.findall(r"<([^>]*)>", prose)) <= allowed
    for dangerous in ("https:", "www.", "javascript:", "@team", "![", "](", "\x1b", "\u202e"):
        assert dangerous not in prose
    rows = [line for line in outside if line.startswith("|")]
    assert {row.count("|") for row in rows} == {14, 8}


# --- html ----------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Collects what a browser would act on."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "img", "source", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.mark.parametrize("make", [plain_record, evil_record])
def test_the_page_is_well_formed_and_loads_nothing(make: Any) -> None:
    text = html.render_page(make())
    page = Page(text)
    assert page.open == []
    assert not {"iframe", "object", "embed", "link", "base", "svg"} & set(page.tags)
    assert page.tags.count("script") == 2, "the page's own, and its data"
    assert page.tags.count("form") == 1
    for name, value in page.attributes:
        assert not name.startswith("on")
        assert name != "style"
        if name in ("src", "srcset", "href"):
            assert re.match(r"data:image/svg\+xml;base64,[\w+/=]+$|#[a-z]+(-\d+)?$", value or "")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
    text.encode("utf-8")


def test_the_policy_of_the_page_fits_its_style_and_script() -> None:
    text = html.render_page(plain_record())
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert style is not None
    assert policy is not None
    digest = base64.b64encode(hashlib.sha256(style.group(1).encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in html_module.unescape(policy.group(1))
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html_module.unescape(policy.group(1))
    assert "default-src 'none'" in html_module.unescape(policy.group(1))


def test_the_page_shows_verdicts_flips_slices_and_setup() -> None:
    text = " ".join(" ".join(Page(html.render_page(plain_record())).text).split())
    for expected in (
        "A checkpoint regressed",
        "−19.0",
        "the mean fell by more than the margin of 2 %",
        "20 worsened, 1 improved",
        "answer of baseline to case-0000",
        "McNemar's score test, Tango's score interval",
        "smallest drop it detects",
        "float32",
        "3.11.9",
    ):
        assert expected in text
    assert "7 * 7" in html.render_page(evil_record())


def unpacked(record: RunRecord, **options: Any) -> dict[str, Any]:
    """What the page's script reads."""
    packed = page_data(record, **options)
    data: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(packed)))
    return data


def test_flips_beyond_the_limit_are_counted_and_long_outputs_cut() -> None:
    ours, theirs = two_sides([0.0] * 5, [1.0] * 5, outputs=("y" * 100_000,))
    text = html.render_page(stored_record(ours, theirs), limit=2)
    assert "… and 3 more" in text
    assert "… and 94,000 more characters" in text
    assert len(text) < 250_000


def test_the_page_holds_every_case_the_worsened_first() -> None:
    record = plain_record()
    data = unpacked(record)
    texts = data["texts"]
    assert len(data["rows"]) == 100
    assert [texts[row["id"]] for row in data["rows"][:2]] == ["case-0000", "case-0001"]
    assert texts[data["rows"][-1]["id"]] == "case-0099", "the one that improved"
    assert texts[data["rows"][0]["b"]["x"][0]] == "answer of baseline to case-0000"
    assert html.render_page(record).count(page_data(record)) == 1


def test_the_page_stays_within_its_size_and_says_what_is_cut() -> None:
    random = Random(0)
    noise = ["".join(random.choice("abcdefghij klmnop") for _ in range(3_000)) for _ in range(40)]
    ours, theirs = two_sides([0.0] * 4 + [1.0] * 36, [1.0] * 40)
    ours = [replace(result, outputs=(text,)) for result, text in zip(ours, noise, strict=True)]
    data = unpacked(stored_record(ours, theirs), budget=40_000)
    shown = [data["texts"][row["a"]["x"][0]] for row in data["rows"]]
    assert "more characters" in shown[-1]
    assert len(shown[0]) > 2 * len(shown[-1]), "what changed keeps more"
    assert len(page_data(stored_record(ours, theirs), budget=40_000)) <= 40_000
    whole = unpacked(stored_record(ours, theirs))
    assert whole["texts"][whole["rows"][-1]["a"]["x"][0]] == noise[-1]


def test_what_is_hostile_is_spelled_out_in_the_pages_data() -> None:
    for text in unpacked(evil_record())["texts"]:
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)


def test_an_empty_record_has_a_page_too() -> None:
    text = html.render_page(RunRecord(run="r", created="2026-03-14T09:26:53Z"))
    assert "No verdict" in text
    assert "No suite was decided." in text
    assert "nothing was compared" in text
    assert "no verdict" in markdown.render_markdown(RunRecord(run="r", created="2026-03-14T09:26:53Z"))


@pytest.mark.needs("matplotlib")
def test_the_plot_is_drawn_the_same_every_time() -> None:
    verdicts = plain_record().verdicts
    light = delta_plot(verdicts, LIGHT)
    assert light is not None
    assert light == delta_plot(verdicts, LIGHT)
    assert light != delta_plot(verdicts, DARK)
    assert delta_plot([], LIGHT) is None


def test_without_matplotlib_the_page_says_so() -> None:
    script = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from case_results import stored_record, two_sides\n"
        "from harness.report.html import render_page\n"
        "print(render_page(stored_record(*two_sides([0.0] * 5, [1.0] * 5))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=__file__.rpartition("/")[0],
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "No plot: matplotlib is not installed: run  pip install" in html_module.unescape(done.stdout)
