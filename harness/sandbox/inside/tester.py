"""The process that runs the tests. It is the only one that can write the result.

By default the model's code runs in another process, and only plain values pass between the two: the code can
neither see the tests nor touch what judges them. Tests that need the objects themselves (classes,
callbacks) run in the code's own process and hand over a number that is told to them only then.
"""

from __future__ import annotations

import builtins
import os
import secrets
import signal
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from .candidate import error_text
from .messages import receive, send
from .values import ValueProblem, decode_value, encode_value

__all__ = ["run_tests"]


class _Gone(BaseException):
    """The process of the code ended; no `except Exception` in a test swallows that."""


class CandidateError(Exception):
    """The code raised an exception of a type of its own."""


def run_tests(request: Mapping[str, Any], channel: int, process: int) -> dict[str, str]:
    """Run the tests; return `{"outcome": …, "why": …}`.

    Outcomes are `passed`, `failed`, `unreadable` (the code is no Python) and `unfit` (the tests are wrong).

    Args:
        request: `tests`, `setup` (run before them), `functions` that they call, and `in_process`.
        channel: File descriptor of the code's process.
        process: Its id.
    """
    started = receive(channel)
    if not isinstance(started, dict):
        return _failed(f"the code {_ending(process)} while it was loaded")
    if "unreadable" in started:
        return {"outcome": "unreadable", "why": str(started["unreadable"])[:500]}
    if "raised" in started:
        return _failed(f"the code raised {started['raised']} while it was loaded")
    defined = started.get("names" if request["in_process"] else "defines")
    missing = [name for name in request["functions"] if not isinstance(defined, list) or name not in defined]
    names = started.get("names")
    if missing and isinstance(names, list) and all(name in names for name in missing):
        return _failed(f"{', '.join(missing)} is no function (tests of other values need in_process)")
    if missing:
        return _failed(f"the code does not define {', '.join(missing)}")
    if request["in_process"]:
        return _in_process(request["tests"], channel, process)
    namespace: dict[str, Any] = {"__name__": "tests", "__builtins__": builtins}
    try:
        exec(compile(request["setup"], "<setup>", "exec"), namespace)  # noqa: S102
    except Exception as problem:
        return {"outcome": "unfit", "why": f"the prompt's own code fails: {error_text(problem, '<setup>')}"}
    namespace |= {name: _function(name, channel) for name in request["functions"]}
    try:
        exec(compile(request["tests"], "<tests>", "exec"), namespace)  # noqa: S102
    except _Gone:
        return _failed(f"the code {_ending(process)}")
    except BaseException as problem:
        if isinstance(problem, ValueProblem):
            return {"outcome": "unfit", "why": f"{problem}: use in_process"}
        return _failed(error_text(problem, "<tests>", request["tests"]))
    return {"outcome": "passed", "why": ""}


def _in_process(tests: str, channel: int, process: int) -> dict[str, str]:
    nonce = secrets.token_hex(16)
    send(channel, {"tests": tests, "nonce": nonce})
    reply = receive(channel)
    if not isinstance(reply, dict) or reply.get("nonce") != nonce:
        return _failed(f"the code {_ending(process)}")
    why = reply.get("why")
    return {"outcome": "passed", "why": ""} if why is None else _failed(str(why))


def _function(name: str, channel: int) -> Callable[..., Any]:
    """Return a function that calls the one of that name in the code's process."""

    def call(*arguments: Any, **named: Any) -> Any:
        try:
            sent = encode_value([list(arguments), named])
        except ValueProblem as problem:
            raise ValueProblem(f"the tests pass {name} {problem}") from None
        try:
            send(channel, {"call": name, "arguments": sent})
        except OSError:
            raise _Gone from None
        reply = receive(channel)
        if not isinstance(reply, dict):
            raise _Gone
        if "raised" in reply:
            raise _exception(reply.get("kinds"), str(reply.get("type")), str(reply.get("text"))[:1000])
        if "strange" in reply:
            raise CandidateError(f"{name} returned {str(reply['strange'])[:300]}")
        try:
            by_place, by_name = decode_value(reply["arguments"])
            _update(arguments, by_place)
            _update(named.values(), [by_name[key] for key in named])
            return decode_value(reply["returned"])
        except (ValueProblem, LookupError, TypeError, ValueError):
            raise _Gone from None

    call.__name__ = call.__qualname__ = name
    return call


def _update(arguments: Collection[Any], changed: Collection[Any]) -> None:
    """Bring what the function did to its arguments to the tests' own lists, dicts and sets."""
    for own, new in zip(arguments, changed, strict=True):
        if isinstance(own, (list, bytearray)):
            own[:] = new
        elif isinstance(own, (dict, set)):
            own.clear()
            own.update(new)


def _exception(kinds: object, name: str, text: str) -> BaseException:
    """Return an exception that a test can catch as it would that of the code: its nearest built-in type."""
    for one in kinds if isinstance(kinds, list) else []:
        kind = getattr(builtins, str(one), None)
        if isinstance(kind, type) and issubclass(kind, Exception) and (kind is not Exception or name == one):
            try:
                return kind(text)
            except TypeError:  # such as UnicodeDecodeError, which wants five arguments
                continue
    return CandidateError(f"{name}: {text}")


def _ending(process: int) -> str:
    """Say how the code's process ended, once its channel is closed."""
    for _ in range(100):  # the channel closes a moment before the process is gone
        pid, status = os.waitpid(process, os.WNOHANG)
        if pid != 0:
            break
        time.sleep(0.01)
    else:
        return "closed its channel"
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number == signal.SIGXCPU:
            return "used up its CPU time"
        return f"was killed by {signal.Signals(number).name}"
    return f"ended the process (exit status {os.WEXITSTATUS(status)})"


def _failed(why: str) -> dict[str, str]:
    return {"outcome": "failed", "why": why[:1000]}
