"""From the name that a suite gives to its cases: a golden set, its variants, or what a source brings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.errors import ConfigurationError
from harness.golden_sets.read import DEFAULT_ROOTS, load_golden
from harness.golden_sets.variants import VARIANTS, variant_set
from harness.protocols import CaseSet, CaseSource
from harness.registry import load_adapter

__all__ = ["SOURCES", "load_case_sets"]

SOURCES = "harness.sources"
"""Entry-point group of what brings cases from outside: a class without arguments, with `CaseSource.load`."""


def load_case_sets(
    name: str, *, roots: Sequence[str | Path] = DEFAULT_ROOTS, root: Path | None = None
) -> tuple[CaseSet, ...]:
    """Return the case sets that a name stands for: a golden set, its variants, or what a source makes.

    Args:
        name: `refunds`, `refunds/v1`, `jailbreaks:safety` (see `harness.golden_sets.variants`), or
            `SOURCE:SPEC` such as `lm_eval:arc_easy`.
        roots: Folders of golden sets, looked up before the shipped ones.
        root: Directory that paths in a spec start from; the working directory when None.

    Raises:
        UsageError: There is no such set or source, or it cannot be used.
    """
    source, colon, spec = name.partition(":")
    if not colon:
        golden = load_golden(name, roots=roots)
        return (CaseSet(golden.name, golden.label, golden.digest, golden.cases, golden.sampling),)
    if source in VARIANTS:
        return (variant_set(source, load_golden(spec, roots=roots)),)
    adapter = load_adapter(SOURCES, source)()
    if not isinstance(adapter, CaseSource):
        raise ConfigurationError(f"{source!r} under {SOURCES} is no CaseSource: it has no method load")
    sets = tuple(adapter.load(spec, Path.cwd() if root is None else root))
    if not sets:
        raise ConfigurationError(f"{name}: names nothing; give {source}: the name of a set")
    return sets
