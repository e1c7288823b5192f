"""Timestamps in the one form that records, manifests and baselines use: ISO 8601 in UTC."""

from __future__ import annotations

from datetime import datetime, timezone

__all__ = ["utc_now"]


def utc_now() -> str:
    """Return the time as ISO 8601 in UTC to the second, such as `2026-03-14T09:26:53Z`."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
