"""Orders in people's own words, and the JSON that the warehouse takes."""

from __future__ import annotations

import json
import random
from typing import Any

from .sample import Sample, Split, Wordings, user
from .shop import PRODUCTS, customer, town

#: What every order must look like; the golden cases carry it as a check.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "customer": {"type": "string"},
        "town": {"type": "string"},
        "items": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "quantity": {"type": "integer", "minimum": 1}},
                "required": ["name", "quantity"],
                "additionalProperties": False,
            },
        },
        "express": {"type": "boolean"},
    },
    "required": ["customer", "town", "items", "express"],
    "additionalProperties": False,
}

_TASK = Wordings(
    known=(
        "Turn this order into JSON:",
        "Extract the order as JSON:",
        "Write this order as JSON:",
        "Order to JSON:",
    ),
    unseen=("Write the order as JSON:", "Extract this order to JSON:"),
)
_ORDER = Wordings(
    known=(
        "{customer} from {town} wants {items}.",
        "Send {items} to {customer} in {town}.",
        "{items} for {customer}, {town}, please.",
        "Hello, this is {customer} in {town}. I would like {items}.",
        "My name is {customer} and I need {items} delivered to {town}.",
        "Please ship {items} to {town}, name {customer}.",
        "Please ship {items} to {customer}, {town}.",
        "Send {items} to {town}, for {customer}.",
        "This is {customer} in {town}. I want {items}.",
        "I am {customer} from {town} and I need {items}.",
        "{customer}, {town}: {items}.",
    ),
    unseen=(
        "Please send {items} to {customer} in {town}.",
        "This is {customer} from {town}. I need {items}.",
    ),
)
_WORDS = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)
_EXPRESS = ("Express delivery, please.", "I need it by express.", "Make it express.")
_STANDARD = ("", "", "Standard delivery is fine.", "No rush.")


def _quantity(rng: random.Random) -> tuple[str, int]:
    number = rng.randint(1, 12) if rng.random() < 0.6 else rng.randint(2, 40)
    if number == 1:
        return "a", 1
    if number < len(_WORDS) and rng.random() < 0.4:
        return _WORDS[number], number
    return str(number), number


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def draw(rng: random.Random, split: Split) -> Sample:
    """Draw one order and its JSON."""
    task, new_task = _TASK.pick(rng, split, unseen=0.2)
    wording, new_wording = _ORDER.pick(rng, split, unseen=0.25)
    buyer, place = customer(rng, split), town(rng, split)
    names = rng.sample(list(PRODUCTS), rng.choice((1, 1, 2, 2, 3)))
    quantities = [_quantity(rng) for _ in names]
    spoken = [
        f"{word} {name if number == 1 else PRODUCTS[name]}"
        for name, (word, number) in zip(names, quantities, strict=True)
    ]
    text = wording.format(customer=buyer, town=place, items=_listed(spoken))
    items = [{"name": name, "quantity": number} for name, (_, number) in zip(names, quantities, strict=True)]
    difficulty: list[str] = []
    if rng.random() < 0.15:
        number = rng.randint(2, 12)
        text += f" Sorry, make that {number} {PRODUCTS[names[-1]]}."
        items[-1]["quantity"] = number
        difficulty.append("correction")
    express = rng.random() < 0.35
    text = f"{text} {rng.choice(_EXPRESS if express else _STANDARD)}".strip()
    target = {"customer": buyer, "town": place, "items": items, "express": express}
    if len(names) == 3:
        difficulty.append("three-items")
    return Sample(
        user(f"{task}\n{text[0].upper()}{text[1:]}"),
        json.dumps(target),
        ({"type": "json_schema", "schema": SCHEMA}, {"type": "json_equals", "value": target}),
        (
            "topic:order-json",
            *(("hard",) if difficulty else ()),
            *difficulty,
            *(("wording:new",) if new_task or new_wording else ()),
        ),
        (
            json.dumps({**target, "express": not express}),
            json.dumps({**target, "customer": buyer.split()[0]}),
            f"{buyer} ordered {_listed(spoken)}.",
        ),
        target=target,
    )
