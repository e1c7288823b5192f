"""Pages of documentation of which a part is generated: between two markers, which readers do not see."""

from __future__ import annotations

import re

__all__ = ["replace_marked"]


def replace_marked(page: str, name: str, content: str) -> str:
    """Return a page with what stands between `<!-- NAME: begin -->` and `<!-- NAME: end -->` replaced.

    Raises:
        ValueError: The page lacks a marker.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    between = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    renewed, count = between.subn(lambda _: f"{begin}\n{content}\n{end}", page, count=1)
    if not count:
        raise ValueError(f"the page has no {begin} … {end}")
    return renewed
