"""Facts about the world that a base model should keep: capitals, opposites, young animals, units."""

from __future__ import annotations

import random

from .sample import Sample, Split, Wordings, draw_in, phrase, user


def _pairs(text: str) -> dict[str, str]:
    return dict(pair.split("=") for pair in text.split())


#: Facts by kind: wordings, the answer's form, and what is known.
_FACTS: dict[str, tuple[Wordings, str, dict[str, str]]] = {
    "capital": (
        Wordings(
            ("What is the capital of {x}?", "Name the capital of {x}.", "Which city is the capital of {x}?"),
            ("Tell me the capital of {x}.", "What is the capital city of {x}?"),
        ),
        "The capital of {x} is {y}.",
        _pairs(
            "France=Paris Italy=Rome Spain=Madrid Portugal=Lisbon Germany=Berlin Austria=Vienna "
            "Poland=Warsaw Sweden=Stockholm Norway=Oslo Finland=Helsinki Denmark=Copenhagen Greece=Athens "
            "Ireland=Dublin Hungary=Budapest Egypt=Cairo Kenya=Nairobi Japan=Tokyo China=Beijing Peru=Lima "
            "Chile=Santiago Cuba=Havana Canada=Ottawa Turkey=Ankara Iceland=Reykjavik"
        ),
    ),
    "opposite": (
        Wordings(
            (
                "What is the opposite of {x}?",
                "Give me the opposite of {x}.",
                "Which word is the opposite of {x}?",
            ),
            ("Tell me the opposite of {x}.",),
        ),
        "The opposite of {x} is {y}.",
        _pairs(
            "hot=cold big=small fast=slow light=dark open=closed early=late full=empty wet=dry old=new "
            "high=low loud=quiet rich=poor hard=soft near=far clean=dirty strong=weak long=short happy=sad"
        ),
    ),
    "young": (
        Wordings(
            ("What is a young {x} called?", "What do you call a young {x}?", "What is a baby {x} called?"),
            ("What do you call a baby {x}?",),
        ),
        "A young {x} is called a {y}.",
        _pairs(
            "cat=kitten dog=puppy cow=calf sheep=lamb horse=foal goose=gosling bear=cub swan=cygnet "
            "duck=duckling pig=piglet frog=tadpole goat=kid"
        ),
    ),
    "day-after": (
        Wordings(
            ("Which day comes after {x}?", "What day is it after {x}?", "What day follows {x}?"),
            ("Which day follows {x}?",),
        ),
        "{y} comes after {x}.",
        _pairs(
            "Monday=Tuesday Tuesday=Wednesday Wednesday=Thursday Thursday=Friday "
            "Friday=Saturday Saturday=Sunday Sunday=Monday"
        ),
    ),
    "count": (
        Wordings(
            ("How many {x}?", "Tell me how many {x}.", "Do you know how many {x}?"),
            ("Can you tell me how many {x}?",),
        ),
        "There are {y}.",
        {
            "days are in a week": "7",
            "months are in a year": "12",
            "hours are in a day": "24",
            "minutes are in an hour": "60",
            "seconds are in a minute": "60",
            "grams are in a kilogram": "1000",
            "metres are in a kilometre": "1000",
            "centimetres are in a metre": "100",
            "legs does a spider have": "8",
            "legs does an insect have": "6",
            "eggs are in a dozen": "12",
            "days are in a leap year": "366",
        },
    ),
    "mix": (
        Wordings(
            (
                "Which colour do you get from {x}?",
                "What colour do {x} make?",
                "What do you get when you mix {x}?",
            ),
            ("Which colour do {x} make?",),
        ),
        "You get {y}.",
        {
            "blue and yellow": "green",
            "red and yellow": "orange",
            "red and blue": "purple",
            "black and white": "grey",
            "red and white": "pink",
        },
    ),
}


def draw(rng: random.Random, split: Split) -> Sample:
    """Draw a fact of any kind."""
    kind = rng.choices(list(_FACTS), [max(6, len(known)) for _, _, known in _FACTS.values()])[0]
    wordings, form, known = _FACTS[kind]
    unseen = split is Split.GOLDEN and rng.random() < 0.3
    if unseen:
        x, wording = rng.choice(list(known)), rng.choice(wordings.unseen)
    else:
        x, wording = draw_in(split, lambda: (rng.choice(list(known)), rng.choice(wordings.known)))
    y = known[x]
    wrong = next(value for value in known.values() if value not in (y, x))
    return Sample(
        user(phrase(rng, wording.format(x=x))),
        form.format(x=x, y=y),
        ({"type": "contains", "value": y, "whole_words": True}, {"type": "max_length", "words": 20}),
        (f"topic:{kind}", *(("wording:new",) if unseen else ())),
        (form.format(x=x, y=wrong),),
        f"fact-{kind}-{x.replace(' ', '-')}",
    )
