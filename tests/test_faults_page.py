"""docs/faults.md names tests that exist, and at least one for every fault."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_every_fault_has_its_test() -> None:
    page = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    existing = set(re.findall(r"^def (test_\w+)", sources, flags=re.MULTILINE))
    named = set(re.findall(r"`(test_\w+)`", page))
    assert not named - existing
    rows = re.findall(r"^\| (\d+) \|(.*)$", page, flags=re.MULTILINE)
    faults = {int(number) for number, rest in rows if "`test_" in rest}
    assert set(range(1, 31)) <= faults
