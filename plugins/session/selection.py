"""Which cases of a suite a session asks: a random sample of them, and those with or without a tag."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.cases import Case
from harness.errors import ConfigurationError
from harness.registry import did_you_mean

__all__ = ["CaseSelection"]


@dataclass(frozen=True)
class CaseSelection:
    """What the command line says of the cases that are to be asked.

    Attributes:
        limit: Cases per suite; None for all.
        seed: Of the draw.
        tags: Only cases with one of them; empty for all.
        tags_not: No case with one of them.
    """

    limit: int | None = None
    seed: int = 0
    tags: tuple[str, ...] = ()
    tags_not: tuple[str, ...] = ()

    @property
    def by_tag(self) -> bool:
        """Whether cases are told apart by tags."""
        return bool(self.tags or self.tags_not)

    def sample(self, cases: Sequence[Case]) -> tuple[Case, ...]:
        """Return a random sample of `limit` cases in their order, or all of them where there is no limit.

        A case's place in the draw depends on the seed and its id alone: a larger sample holds the smaller
        one, both sides of a comparison get the same cases, and a case that is added moves no other.
        """
        if self.limit is None or len(cases) <= self.limit:
            return tuple(cases)
        drawn = sorted(range(len(cases)), key=lambda place: self._draw(cases[place].id))[: self.limit]
        return tuple(cases[place] for place in sorted(drawn))

    def keeps(self, case: Case) -> bool:
        """Whether a case's tags let it take part."""
        own = set(case.tags)
        return (not self.tags or not own.isdisjoint(self.tags)) and own.isdisjoint(self.tags_not)

    def refuse_unknown_tags(self, cases: Iterable[Case]) -> None:
        """Hold the tags that were named to those that there are.

        Raises:
            ConfigurationError: No case has a tag of that name.
        """
        known = sorted({tag for case in cases for tag in case.tags})
        for option, tags in (("--tag", self.tags), ("--tag-not", self.tags_not)):
            for tag in tags:
                if tag not in known:
                    there = ", ".join(known[:20]) or "none"
                    raise ConfigurationError(
                        f"{option}={tag}: no case has this tag{did_you_mean(tag, known)}; tags: {there}"
                    )

    def describe(self) -> list[str]:
        """Return what is left out, a line each; nothing where all cases are asked."""
        lines = []
        if self.limit is not None:
            lines.append(
                f"--limit: a random sample of at most {self.limit} cases of each suite, seed {self.seed}"
            )
        lines += [f"--tag: only cases with {' or '.join(self.tags)}"] if self.tags else []
        lines += [f"--tag-not: no case with {' or '.join(self.tags_not)}"] if self.tags_not else []
        return [f"{line}: verdicts are partial" for line in lines]

    def _draw(self, case_id: str) -> bytes:
        return hashlib.sha256(f"{self.seed}:{case_id}".encode("utf-8", "surrogatepass")).digest()
