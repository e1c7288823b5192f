"""The process that runs a model's code and answers calls of its functions. Nothing it says is trusted."""

from __future__ import annotations

import traceback
from typing import Any

from .messages import MAX_BYTES, receive, send
from .values import ValueProblem, decode_value, encode_value

__all__ = ["error_text", "run_candidate"]

FILE = "<answer>"


def run_candidate(source: str, channel: int) -> None:
    """Run the code, say how that ended, and answer calls until nobody asks any more.

    Args:
        source: The code.
        channel: File descriptor of the tests' process.
    """
    namespace: dict[str, Any] = {"__name__": "answer", "__builtins__": __builtins__}
    try:
        compiled = compile(source, FILE, "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as problem:
        send(channel, {"unreadable": error_text(problem)})
        return
    try:
        exec(compiled, namespace)  # noqa: S102  (what this process exists for)
    except BaseException as problem:
        send(channel, {"raised": error_text(problem, FILE)})
        return
    names = [name for name in namespace if name != "__builtins__"][:10_000]
    send(channel, {"defines": [name for name in names if callable(namespace[name])], "names": names})
    while (asked := receive(channel)) is not None:
        if "tests" in asked:
            send(channel, {"nonce": asked["nonce"], "why": run_tests(asked["tests"], namespace)})
        else:
            send(channel, _answer(namespace, asked))


def run_tests(tests: str, namespace: dict[str, Any]) -> str | None:
    """Run the tests; return why they fail, or None."""
    try:
        exec(compile(tests, "<tests>", "exec"), namespace)  # noqa: S102
    except BaseException as problem:
        return error_text(problem, "<tests>", tests)
    return None


def _answer(namespace: dict[str, Any], asked: Any) -> dict[str, Any]:
    """Call a function; return its value and the arguments as they are afterwards, or what it raised."""
    arguments, named = decode_value(asked["arguments"])
    try:
        value = namespace[asked["call"]](*arguments, **named)
    except BaseException as problem:
        kinds = [kind.__name__ for kind in type(problem).__mro__ if kind.__module__ == "builtins"]
        name = type(problem).__name__
        return {"raised": error_text(problem, FILE), "type": name, "kinds": kinds, "text": _text(problem)}
    try:
        returned = encode_value(value)
        changed = encode_value(
            [[_if_mutable(item) for item in arguments], {key: _if_mutable(named[key]) for key in named}]
        )
        if len(returned) + len(changed) > MAX_BYTES // 2:
            return {"strange": "a value that is too large"}
        return {"returned": returned, "arguments": changed}
    except ValueProblem as problem:
        return {"strange": str(problem)}
    except BaseException as problem:  # an object whose own methods raise
        return {"strange": f"a value that cannot be read: {type(problem).__name__}"}


def _if_mutable(item: Any) -> Any:
    """Return what the function may have changed in place; None for anything else."""
    return item if isinstance(item, (list, dict, set, bytearray)) else None


def error_text(problem: BaseException, file: str | None = None, source: str = "") -> str:
    """Return an exception as one line, with the line of `file` where it arose."""
    shown = " ".join(f"{type(problem).__name__}: {_text(problem)}".split()).rstrip(": ")[:300]
    lines = [frame.lineno for frame in traceback.extract_tb(problem.__traceback__) if frame.filename == file]
    if not lines or lines[-1] is None:
        return shown
    kept = source.splitlines()
    line = kept[lines[-1] - 1].strip()[:160] if lines[-1] <= len(kept) else ""
    where = f"line {lines[-1]} of {(file or '').strip('<>')}"
    return f"{shown} ({where}: {line})" if line else f"{shown} ({where})"


def _text(problem: BaseException) -> str:
    try:
        return str(problem)[:1000]
    except BaseException:
        return "(its message cannot be read)"
