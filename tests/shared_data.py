"""Where the real data packs lie that some tests check published figures against.

They are not part of the repository (docs/data-packs.md says what they are and how to get them):
`HARNESS_SHARED_DATA` names their folder, and a `shared/data` folder beside the checkout is found without it.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

_REASON = "data pack {name!r} is not at hand: docs/data-packs.md"
_FOUND = re.compile(_REASON.replace("{name!r}", "'(.+?)'"))


def shared_data(name: str) -> Path:
    """Return the folder of a data pack; skip the test, with the reason, where it is not at hand."""
    named = os.environ.get("HARNESS_SHARED_DATA")
    root = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    folder = root / name
    if not folder.is_dir():
        pytest.skip(_REASON.format(name=name))
    return folder


def skipped_packs(reasons: Iterable[object]) -> str:
    """Say in one line how many tests were skipped for want of which packs; nothing where none was."""
    counts = Counter(found[1] for reason in reasons if (found := _FOUND.search(str(reason))))
    if not counts:
        return ""
    packs = ", ".join(f"{name} ({count})" for name, count in sorted(counts.items()))
    return f"{counts.total()} tests need data that is not in the repository: {packs}; see docs/data-packs.md"
