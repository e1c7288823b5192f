"""Put small faults into the code, one by one, and count how many the tests notice.

    python tests/run_mutants.py                      the sample of every room; exit 1 below a room's floor
    python tests/run_mutants.py stats --all          every mutant of a room
    python tests/run_mutants.py gate --again         those that survived last time
    python tests/run_mutants.py --show 0f3a…         the fault itself

Results are JSON lines in build/mutants. A run that was stopped goes on where it was, as long as neither the
sources of a room nor its tests changed; delete that folder to try everything anew. For a mutant that
survives, write the test that fails with it; if none can, enter it in mutation/equivalents.toml with
the reason.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import importlib
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mutation.covering_tests import (
    Chosen,
    Covering,
    Recorder,
    by_file,
    from_json,
    joined,
    read_covering,
    write_covering,
)
from mutation.equivalents import Equivalents, read_equivalents
from mutation.forked_pytest import Fork, Run, end, preload, run_pytest, start, wait_for_any
from mutation.installed_tree import InstalledTree
from mutation.rooms import ROOMS, ROOT, Mutant, Room, mutants_of, sample

FOLDER = ROOT / "build" / "mutants"
_LOADED = (
    "_pytest.pytester",
    "coverage",
    "hypothesis.strategies",
    "jsonschema",
    "rich.console",
    "pyarrow.parquet",
)
_FIRST = 12
"""Tests that are tried before the others are collected."""
_RECORDING_S = 3600.0
_FEWEST_S, _TIMES_SLOWER = 15.0, 5.0
"""Processor time that a mutant's tests may take, and how much longer than without it."""


@dataclass(frozen=True)
class Result:
    """What became of a mutant.

    Attributes:
        mutant: Which.
        status: killed, survived, equivalent.
        by: The test that noticed it, or how it ended otherwise.
        seconds: How long its tests took.
    """

    mutant: Mutant
    status: str
    by: str
    seconds: float

    def as_dict(self, key: str) -> dict[str, Any]:
        """Return a line of the results."""
        change = self.mutant.change
        return {
            "id": self.mutant.identity,
            "room": self.mutant.room,
            "file": self.mutant.path,
            "line": change.line,
            "function": change.function,
            "before": change.before,
            "after": change.after,
            "nth": change.nth,
            "status": self.status,
            "by": self.by,
            "seconds": round(self.seconds, 2),
            "key": key,
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; return the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no fork is left at work
    options = _options(arguments)
    rooms = [ROOMS[name] for name in options.rooms or ROOMS]
    if options.show:
        return _show(rooms, options.show)
    FOLDER.mkdir(parents=True, exist_ok=True)
    equivalents = read_equivalents()
    stale = equivalents.stale({room.name: list(mutants_of(room)) for room in rooms})
    for entry in stale:
        print(f"equivalents.toml: matches no mutant any more: {entry}")
    fell_short = [
        room.name for room in rooms if not _try_room(room, _chosen(room, options), equivalents, options)
    ]
    for name in fell_short:
        print(f"{name}: the tests notice too few faults")
    return 1 if fell_short or stale else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rooms", nargs="*", choices=[*ROOMS, []], help="all by default")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--count", type=int, help="mutants of each room; its own number by default")
    parser.add_argument("--all", action="store_true", help="every mutant instead of a sample")
    parser.add_argument("--file", help="only those of files whose path has this in it")
    parser.add_argument("--again", action="store_true", help="only those that survived last time")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--show", metavar="ID", help="print a mutant as a diff")
    return parser.parse_args(arguments)


def _chosen(room: Room, options: argparse.Namespace) -> list[Mutant]:
    size = None if options.all or options.again or options.file else options.count or room.drawn
    mutants = sample(room, size, options.seed)
    if options.again:
        survived = {row["id"] for row in _rows(room) if row["status"] == "survived"}
        mutants = [mutant for mutant in mutants if mutant.identity in survived]
    return [mutant for mutant in mutants if (options.file or "") in mutant.path]


# --- one room --------------------------------------------------------------------------------------------


def _try_room(
    room: Room, mutants: Sequence[Mutant], equivalents: Equivalents, options: argparse.Namespace
) -> bool:
    """Try mutants of a room, print what became of them, and return whether enough were noticed."""
    began = time.monotonic()
    trees = [InstalledTree(FOLDER / f"{room.name}-{number}") for number in range(options.jobs)]
    preload([*_LOADED, *room.loaded])
    _load_profile()
    covering = _covering(room, trees[0])
    earlier = {row["id"]: row for row in _rows(room) if row["key"] == _key(room, row["by"])}
    results: list[Result] = []
    waiting: list[Mutant] = []
    for mutant in mutants:
        row = earlier.get(mutant.identity)
        if equivalents.reason(mutant) is not None:
            results.append(Result(mutant, "equivalent", "", 0.0))
        elif row is not None:
            results.append(Result(mutant, row["status"], row["by"], row["seconds"]))
        else:
            waiting.append(mutant)
    with (FOLDER / f"{room.name}.jsonl").open("a", encoding="utf-8") as stream:
        for result in _tried(waiting, covering, trees):
            results.append(result)
            stream.write(json.dumps(result.as_dict(_key(room, result.by))) + "\n")
            stream.flush()
            if result.status == "survived":
                print(f"survived: {_described(result.mutant)} ({result.by})", flush=True)
    return _told(room, results, time.monotonic() - began)


def _told(room: Room, results: Sequence[Result], took: float) -> bool:
    counts = {status: sum(result.status == status for result in results) for status in _STATUSES}
    tried = counts["killed"] + counts["survived"]
    share = counts["killed"] / tried if tried else 1.0
    floor = "" if room.floor is None else f", at least {room.floor:.0%} asked for"
    print(
        f"{room.name}: {len(results)} mutants, {counts['killed']} killed, {counts['survived']} survived, "
        f"{counts['equivalent']} equivalent: {share:.1%} of those that differ{floor} ({took:.0f} s)",
        flush=True,
    )
    return room.floor is None or share >= room.floor


_STATUSES = ("killed", "survived", "equivalent")


def _tried(mutants: Iterable[Mutant], covering: Covering, trees: list[InstalledTree]) -> Iterable[Result]:
    """Yield what becomes of each mutant, as many at a time as there are trees."""
    waiting = list(mutants)[::-1]
    free = list(trees)
    running: dict[Fork, tuple[Mutant, InstalledTree, float]] = {}
    noticed: Counter[tuple[str, str]] = Counter()  # what noticed one fault of a file soon notices the next
    try:
        while waiting or running:
            while waiting and free:
                mutant = waiting.pop()
                tests = covering.tests_of(mutant)
                tests.sort(key=lambda test: noticed[mutant.path, test], reverse=True)
                if not tests:
                    yield Result(mutant, "survived", "no test runs it", 0.0)
                    continue
                tree = free.pop()
                seconds = _FEWEST_S + _TIMES_SLOWER * sum(covering.seconds[test] for test in tests)
                running[_start(mutant, tests, tree, seconds)] = (mutant, tree, time.monotonic())
            if running:
                fork, answer = wait_for_any(list(running))
                mutant, tree, began = running.pop(fork)
                tree.restore(mutant.path)
                free.append(tree)
                result = _result(mutant, answer, time.monotonic() - began)
                noticed[mutant.path, result.by] += 1
                yield result
    finally:
        for fork in running:
            end(fork)


def _start(mutant: Mutant, tests: Sequence[str], tree: InstalledTree, seconds: float) -> Fork:
    tree.replace(mutant.path, mutant.change.applied((ROOT / mutant.path).read_bytes()))
    run = Run(tree, tree.folder.with_suffix(".log"), tree.folder.with_suffix(".tmp"), seconds)

    def work() -> dict[str, Any]:
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        code, chosen = 0, Chosen(())
        for part in (tests[:_FIRST], tests[_FIRST:]):  # collecting all files takes longer than most tests
            if part and not code:
                chosen = Chosen(part)
                files = sorted({ROOT / test.partition("::")[0] for test in part})
                code = run_pytest(run, files, chosen, "--exitfirst", "--hypothesis-profile=mutants")
        return {"code": code, "failed": chosen.failed}

    return start(run, work)


def _result(mutant: Mutant, answer: Any, seconds: float) -> Result:
    if answer is None or answer == "timeout":
        return Result(mutant, "killed", answer or "the process died", seconds)
    if answer["code"] == 0:
        return Result(mutant, "survived", "", seconds)
    return Result(mutant, "killed", answer["failed"] or f"pytest exit code {answer['code']}", seconds)


# --- what is recorded ------------------------------------------------------------------------------------


def _covering(room: Room, tree: InstalledTree) -> Covering:
    """Return which tests run which lines; test files that are new or changed are recorded now."""
    path = FOLDER / f"{room.name}-covering.json"
    keys = {file.relative_to(ROOT).as_posix(): _digest(room, file) for file in room.test_files}
    kept = read_covering(path)
    missing = [name for name, key in keys.items() if key not in kept]
    if missing:
        began = time.monotonic()
        run = Run(tree, path.with_suffix(".log"), path.with_suffix(".tmp"), _RECORDING_S)

        def work() -> dict[str, Any] | None:
            recorder = Recorder(room.folder)
            files = [ROOT / name for name in missing]
            code = run_pytest(run, files, recorder, "--hypothesis-profile=mutants")
            return recorder.recorded() if code in (0, 1) else None  # 1: tests failed, and are left out

        _, recorded = wait_for_any([start(run, work)])
        if not isinstance(recorded, dict):
            raise SystemExit(f"{room.name}: its tests could not be recorded, see {run.log}")
        new = by_file(from_json(recorded), missing)
        kept |= {keys[name]: part for name, part in new.items()}
        kept = {key: kept[key] for key in keys.values()}
        write_covering(kept, path)
        count = sum(len(part.seconds) for part in new.values())
        print(f"{room.name}: recorded {count} tests ({time.monotonic() - began:.0f} s)", flush=True)
    covering = joined(kept[key] for key in keys.values())
    for test in covering.broken:
        print(f"{room.name}: fails without any fault, and is left out: {test}")
    return covering


def _key(room: Room, by: str) -> str:
    """Return the digest of what a result depends on: the test that noticed the fault, or all that did not."""
    return _digest(room, ROOT / by.partition("::")[0]) if "::" in by else _digest(room, *room.test_files)


def _digest(room: Room, *tests: Path) -> str:
    """Return the digest of test files together with the room's own sources.

    What the room imports from others is left out: a change there seldom changes what its tests notice.
    """
    digest = hashlib.sha256()
    for path in (*sorted(room.folder.rglob("*.py")), *tests):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _rows(room: Room) -> list[dict[str, Any]]:
    """Return the results kept of a room, the latest of each mutant."""
    path = FOLDER / f"{room.name}.jsonl"
    if not path.exists():
        return []
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
    return list({row["id"]: row for row in rows}.values())


def _load_profile() -> None:
    """Let property tests try the same examples for every mutant, and stop at the first that fails."""
    hypothesis = importlib.import_module("hypothesis")
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile(
        "mutants", derandomize=True, database=None, deadline=None, phases=phases, print_blob=False
    )


def _described(mutant: Mutant) -> str:
    change = mutant.change
    short = [text if len(text) <= 90 else text[:89] + "…" for text in (change.before, change.after)]
    place = f"{mutant.path}:{change.line} {change.function}"
    return f"{mutant.identity} {place}: {short[0]!r} → {short[1]!r}"


def _show(rooms: Sequence[Room], identity: str) -> int:
    for room in rooms:
        for mutant in mutants_of(room):
            if mutant.identity.startswith(identity):
                source = (ROOT / mutant.path).read_bytes()
                before, after = (
                    text.decode().splitlines(keepends=True)
                    for text in (source, mutant.change.applied(source))
                )
                sys.stdout.writelines(difflib.unified_diff(before, after, mutant.path, mutant.path, n=4))
                return 0
    print(f"no mutant {identity}")
    return 2


if __name__ == "__main__":
    sys.exit(main())
