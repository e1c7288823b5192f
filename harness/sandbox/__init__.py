"""A place where code that a model wrote can run and do no harm, once the user allowed it."""

from __future__ import annotations

from harness.sandbox.permission import Permission, allow_code, code_allowed
from harness.sandbox.program import Ending, Program, ProgramLimits, run_program

__all__ = ["Ending", "Permission", "Program", "ProgramLimits", "allow_code", "code_allowed", "run_program"]
