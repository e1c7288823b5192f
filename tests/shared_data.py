"""Where the real data packs lie that some tests check published figures against.

They are not part of the repository: `HARNESS_SHARED_DATA` names their folder, and a `shared/data` folder
beside the checkout is found without it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def shared_data(name: str) -> Path:
    """Return the folder of a data pack; skip the test, with the reason, where it is not at hand."""
    named = os.environ.get("HARNESS_SHARED_DATA")
    root = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    folder = root / name
    if not folder.is_dir():
        pytest.skip(f"data pack {name!r} is not at hand (looked in {root})")
    return folder
