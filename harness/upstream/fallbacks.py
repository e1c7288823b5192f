"""Which libraries that are in use have lost a name, and what this process does without it."""

from __future__ import annotations

import sys

from harness.upstream.private_name import warning_lines

__all__ = ["fallbacks_in_use"]

_PACKAGES = ("torch", "transformers")
"""What a local model is computed with. Each has a guarded module, which is imported when one is loaded."""


def fallbacks_in_use() -> tuple[str, ...]:
    """Say of each missing name what is done without it, as far as a model was computed in this process."""
    loaded = (package for package in _PACKAGES if package in sys.modules)
    modules = (sys.modules.get(f"{__package__}.{package}_internals") for package in loaded)
    return tuple(line for module in modules if module is not None for line in warning_lines(module.missing()))
