"""When Python looks for garbage in a session that gates.

A session of ten thousand cases makes some million objects that live until it ends. Looking through all of
them every few thousand new ones takes a tenth of the time of the whole session, and finds nothing.
"""

from __future__ import annotations

import gc

import pytest

__all__ = ["collect_rarely", "keep_what_is_there"]

_THRESHOLDS = (100_000, 20, 50)


def collect_rarely(config: pytest.Config) -> None:
    """Look for garbage less often until the session has ended; never where it is switched off."""
    before = gc.get_threshold()
    if before[0] and before[0] < _THRESHOLDS[0]:
        gc.set_threshold(*_THRESHOLDS)
        config.add_cleanup(lambda: gc.set_threshold(*before))
    if gc.get_freeze_count() == 0:
        config.add_cleanup(gc.unfreeze)


def keep_what_is_there() -> None:
    """Leave what was collected out of further searches until the session has ended, and so its items."""
    gc.freeze()
