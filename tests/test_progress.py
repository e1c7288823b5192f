"""Whoever waits for answers sees how many there are, how fast they come, and how long it will still take."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from harness.cli.gate import _run
from harness.engine import progress as progress_module
from harness.engine.progress import ANSWERING, Standing, describe, on_stderr, tell_lines
from harness.protocols import Checkpoint

MODEL = Checkpoint("spec", "checkpoint-300", "hf", "here", "f" * 64)


@pytest.mark.parametrize(
    ("standing", "expected"),
    [
        (Standing("m", 0, 400, 0, 0, 61.0), "0 of 400, no answer yet after 61 s"),
        (
            Standing("m", 100, 400, 20, 8500, 100.0),
            "100 of 400, 20 from the cache, 85 tokens/s, about 5 min left",
        ),
        (Standing("m", 1, 1000, 0, 0, 60.0), "1 of 1,000, about 16.6 h left"),
        (Standing("m", 400, 400, 0, 4000, 100.0), "400 of 400, 40 tokens/s"),
    ],
)
def test_a_line_says_answers_cache_speed_and_time_left(standing: Standing, expected: str) -> None:
    assert describe(standing) == expected


def test_a_log_hears_of_it_before_the_first_answer_and_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "_SECONDS_BETWEEN_LINES", 0.01)
    lines: list[str] = []
    silent, answered = threading.Event(), threading.Event()

    def say(line: str) -> None:
        lines.append(line)
        (silent if "no answer yet" in line else answered).set()

    with tell_lines(say) as progress:
        progress.begins(MODEL, 4, 2)
        assert silent.wait(60)
        progress.answered(MODEL, 1, 4, 30)
        assert answered.wait(60)
        progress.answered(MODEL, 4, 4, 120)
    assert lines[0].startswith(f"{ANSWERING} checkpoint-300: 0 of 4, 2 from the cache, no answer yet")
    assert any("1 of 4, 2 from the cache" in line and "left" in line for line in lines)


def test_a_short_wait_leaves_a_log_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    with on_stderr() as progress:
        progress.begins(MODEL, 2, 0)
        progress.answered(MODEL, 2, 2, 9)
    assert stream.getvalue() == ""


def test_a_child_that_writes_to_a_file_still_shows_its_progress(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    script = f"print('collected'); print({ANSWERING!r} + ' base: 1 of 2'); print('verdicts')"
    with (tmp_path / "log").open("wb") as log:
        _run([sys.executable, "-c", script], copy_to=log, stdout=subprocess.PIPE)
    assert capfd.readouterr().err == f"{ANSWERING} base: 1 of 2\n"
    assert (tmp_path / "log").read_text().split("\n")[::2] == ["collected", "verdicts"]
