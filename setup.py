"""What pyproject.toml cannot say: a wheel also has the signatures of `harness.scoring.scorers`, as a stub."""

from __future__ import annotations

import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

sys.path.insert(0, str(Path(__file__).parent))


class BuildWithStub(build_py):
    """Build the package, and write the stub beside `scorers.py` unless the package stays where it is."""

    @property
    def _stub(self) -> Path:
        return Path(self.build_lib, "harness", "scoring", "scorers.pyi")

    def run(self) -> None:
        """Copy the modules, then write the stub."""
        super().run()
        if not self.editable_mode:
            from harness.scoring.scorers_stub import scorers_stub

            self._stub.write_text(scorers_stub(), encoding="utf-8")

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Name what was built."""
        stubs = [] if self.editable_mode else [str(self._stub)]
        return [*super().get_outputs(include_bytecode), *stubs]


setup(cmdclass={"build_py": BuildWithStub})
