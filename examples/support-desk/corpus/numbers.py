"""Short reasoning with numbers: comparing, adding, continuing a series."""

from __future__ import annotations

import random

from .sample import Sample, Split, draw_in, phrase, user
from .shop import PRODUCTS, first_name


def compare(rng: random.Random, split: Split) -> Sample:
    """Draw two numbers, one of them larger."""
    (a, b), larger = draw_in(split, lambda: (tuple(rng.sample(range(2, 100), 2)), rng.random() < 0.5))
    right, wrong = (max(a, b), min(a, b)) if larger else (min(a, b), max(a, b))
    word = "larger" if larger else "smaller"
    text = rng.choice(("Which number is {w}, {a} or {b}?", "Which is {w}: {a} or {b}?", "Is {a} or {b} {w}?"))
    return Sample(
        user(phrase(rng, text.format(w=word, a=a, b=b))),
        f"{right} is {word} than {wrong}.",
        ({"type": "contains", "value": f"{right} is {word}", "whole_words": True},),
        ("topic:compare", *(("hard",) if a // 10 == b // 10 else ())),
        (f"{wrong} is {word} than {right}.",),
    )


_SUMS = (
    "What is {a} + {b}?",
    "How much is {a} plus {b}?",
    "Add {a} and {b}.",
    "{name} has {a} {things} and buys {b} more. How many {things} does {name} have now?",
    "There are {a} {things} on the shelf and {b} more arrive. How many {things} are there?",
    "{name} sold {a} {things} on Monday and {b} on Tuesday. How many {things} is that?",
)


def add(rng: random.Random, split: Split) -> Sample:
    """Draw a sum, bare or in a story."""
    a, b, wording = draw_in(split, lambda: (rng.randint(1, 12), rng.randint(1, 12), rng.choice(_SUMS)))
    things = rng.choice(list(PRODUCTS.values()))
    return Sample(
        user(phrase(rng, wording.format(a=a, b=b, things=things, name=first_name(rng, split)))),
        f"{a} + {b} = {a + b}.",
        ({"type": "number", "value": a + b},),
        ("topic:sums", *(("hard",) if a + b > 12 else ())),
        (f"{a} + {b} = {a + b + 1}.", "I do not know."),
        f"sum-{a}-{b}",
    )


_SERIES = ("What comes next: {s}?", "Which number follows {s}?", "Continue the series {s}.")


def series(rng: random.Random, split: Split) -> Sample:
    """Draw four numbers with equal steps, and ask for the fifth."""
    start, step, wording = draw_in(
        split, lambda: (rng.randint(1, 12), rng.choice((1, 2, 5, 10)), rng.choice(_SERIES))
    )
    following = start + step * 4
    return Sample(
        user(phrase(rng, wording.format(s=", ".join(str(start + step * i) for i in range(4))))),
        f"The next number is {following}.",
        ({"type": "number", "value": following},),
        ("topic:series", *(("hard",) if step in (2, 5) else ())),
        (f"The next number is {following + step}.",),
        f"series-{start}-{step}",
    )
