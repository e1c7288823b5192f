"""How suites with labels were classified, for terminals and Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from harness.report import figures
from harness.report.plain_text import one_line
from harness.stats.classification import Rate

if TYPE_CHECKING:
    from harness.gate.classification import Classification
    from harness.runs.record import RunRecord

__all__ = ["classification_lines", "classification_tables", "sides", "with_interval"]

_MOST_CLASSES = 20  # a confusion table that is wider cannot be read


def sides(record: RunRecord) -> Iterator[tuple[Classification, Classification | None]]:
    """Yield each candidate's classification with its baseline's, where both have one."""
    found = {(one.suite, one.checkpoint, one.role): one for one in record.classifications}
    for verdict in record.verdicts:
        specs = {verdict.checkpoint} | {e.spec for e in record.checkpoints if e.name == verdict.checkpoint}
        others = {verdict.baseline} | {e.spec for e in record.checkpoints if e.name == verdict.baseline}
        for (suite, checkpoint, role), one in found.items():
            if suite == verdict.suite and role == "candidate" and checkpoint in specs:
                same = [found.get((suite, str(spec), "baseline")) for spec in others]
                yield one, next((other for other in same if other is not None), None)


def classification_lines(record: RunRecord) -> list[str]:
    """Return one line for each suite × candidate with labels: accuracy, macro F1, the weakest class."""
    lines = []
    for one, base in sides(record):
        parts = [
            f"{word} {with_interval(one.rates[name])}"
            + ("" if base is None else f" (baseline {figures.score_percent(base.rates[name].value)})")
            for word, name in (("accuracy", "accuracy"), ("macro F1", "macro_f1"))
        ]
        parts.append(f"n = {one.n}")
        if one.invalid:
            parts.append(f"{one.invalid} without a label of the set")
        weakest = min((each for each in one.classes if each.support), key=lambda each: each.f1.value)
        parts.append(f"weakest: {one_line(weakest.label)} (F1 {figures.score_percent(weakest.f1.value)})")
        lines.append(f"{one_line(one.suite)} × {one_line(one.checkpoint)}: {', '.join(parts)}")
    return lines


def classification_tables(record: RunRecord, escaped: Callable[[str], str]) -> list[str]:
    """Return Markdown: for each suite × candidate with labels the rates by class, and the confusion table.

    Args:
        record: A session or a comparison.
        escaped: Makes a text harmless in Markdown.
    """
    lines: list[str] = []
    for one, base in sides(record):
        name = f"{escaped(one.suite)} × {escaped(one.checkpoint)}"
        lines += ["", f"### Classes of {name}", "", *_rates(one, base, escaped)]
        if len(one.labels) <= _MOST_CLASSES:
            lines += ["", "<details>", "<summary>Confusion table</summary>", "", *_confusion(one, escaped)]
            lines += ["", "</details>"]
    return lines


def with_interval(rate: Rate) -> str:
    """Return a rate in percent with its interval."""
    if rate.interval is None:
        return figures.score_percent(rate.value)
    low, high = rate.interval
    return (
        f"{figures.score_percent(rate.value)} [{figures.score_percent(low)}, {figures.score_percent(high)}]"
    )


def _rates(one: Classification, base: Classification | None, escaped: Callable[[str], str]) -> Iterator[str]:
    yield "| class | answers | precision | recall | F1 | baseline F1 |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    theirs = {each.label: each.f1 for each in base.classes} if base is not None else {}
    for each in one.classes:
        other = theirs.get(each.label)
        cells = [escaped(each.label), str(each.support)]
        cells += [with_interval(rate) for rate in (each.precision, each.recall, each.f1)]
        shown = figures.NOTHING if other is None else figures.score_percent(other.value)
        yield f"| {' | '.join(cells)} | {shown} |"
    for mean in ("macro", "micro"):
        rates = [with_interval(one.rates[f"{mean}_{name}"]) for name in ("precision", "recall", "f1")]
        other = None if base is None else base.rates[f"{mean}_f1"]
        shown = figures.NOTHING if other is None else figures.score_percent(other.value)
        yield f"| **{mean}** | {one.n} | {' | '.join(rates)} | {shown} |"
    invalid = f"; {one.invalid} answers gave no label of the set" if one.invalid else ""
    undecided = f"; {one.undecided} cases were not decided" if one.undecided else ""
    yield ""
    yield f"Accuracy {with_interval(one.rates['accuracy'])}{invalid}{undecided}."


def _confusion(one: Classification, escaped: Callable[[str], str]) -> Iterator[str]:
    yield "| is \\ given | " + " | ".join([*map(escaped, one.labels), "none"]) + " |"
    yield "| --- |" + " ---: |" * (len(one.labels) + 1)
    for label, row in zip(one.labels, one.table, strict=True):
        yield f"| {escaped(label)} | " + " | ".join(map(str, row)) + " |"
