"""Run every benchmark that needs no peer and no data pack, one JSON line each.

python benchmarks/run_all.py
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCHMARKS = ("start_up.py", "warm_rerun.py")


def main() -> int:
    """Run them in turn; return the number that failed."""
    folder = Path(__file__).resolve().parent
    failed = 0
    for name in BENCHMARKS:
        failed += subprocess.run([sys.executable, str(folder / name)], check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
