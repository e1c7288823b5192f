"""What is said of a night: a few lines for a chat, Markdown for a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from harness.nightly.history import Move, Night
from harness.report.markdown import render_markdown
from harness.report.plain_text import one_line, shorten
from harness.runs.record import RunRecord

__all__ = ["MARKER", "chat_text", "comment_text"]

MARKER = "<!-- checkpoint-harness nightly -->"
"""The first line of the comment, by which it is found again."""
_MOST_MOVES = 20
_LONGEST_COMMENT = 60_000
"""GitHub takes 65,536 characters."""
_OUTCOMES = {0: "PASS", 1: "REGRESSED or FAILED", 10: "INCONCLUSIVE"}
_CHAT_MARKUP = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
"""What begins a mention, a link or an entity in a chat: https://docs.slack.dev/messaging/formatting-message-text"""
_CHAT_STYLE = str.maketrans(dict.fromkeys("*_~`", " "))


def chat_text(night: Night, moved: Sequence[Move], record: RunRecord) -> str:
    """Return what moved, with the reason, as the text of a chat message in which nothing is markup."""
    outcome = _OUTCOMES.get(night.exit_code, f"exit code {night.exit_code}")
    lines = [f"Nightly comparison: {'INCONCLUSIVE, and waived' if record.waived else outcome}"]
    reasons = {(v.suite, v.checkpoint): next(iter(v.reasons), "") for v in record.verdicts}
    specs = {(one["suite"], one["name"]): one["checkpoint"] for one in night.verdicts}
    for move in moved[:_MOST_MOVES]:
        reason = reasons.get((move.suite, str(specs.get((move.suite, move.name)))), "")
        lines.append(
            f"{shorten(move.suite, 60)} × {shorten(move.name, 80)}: {move.before or 'new'} → "
            f"{move.now or 'gone'}" + (f": {shorten(reason, 160)}" if reason else "")
        )
    if len(moved) > _MOST_MOVES:
        lines.append(f"and {len(moved) - _MOST_MOVES} more")
    lines.append(f"run {night.run}")
    return "\n".join(_for_chat(line) for line in lines)


def _for_chat(line: str) -> str:
    plain = one_line(line).translate(_CHAT_STYLE)
    return "".join(_CHAT_MARKUP.get(character, character) for character in plain)


def comment_text(record: RunRecord) -> str:
    """Return the comment: the run as Markdown, behind the marker by which it is updated in place."""
    for flips in (10, 3, 0):
        text = f"{MARKER}\n{render_markdown(record, limit=flips)}"
        if len(text) <= _LONGEST_COMMENT:
            return text
    return text[:_LONGEST_COMMENT].rpartition("\n")[0] + "\n\n… cut: the rest is in the run's page\n"
