"""Reading back what a customer has said, word for word: the copying that every other skill builds on."""

from __future__ import annotations

import random

from .sample import Sample, Split, Wordings, user
from .shop import PRODUCTS, customer, order_number, product, town

_TASK = Wordings(
    known=(
        "Read this back to me:",
        "Repeat this word for word:",
        "Please repeat:",
        "Say this again:",
        "Read back:",
    )
)


def draw(rng: random.Random, split: Split) -> Sample:
    """Draw notes of two to five parts and their copy."""
    task, _ = _TASK.pick(rng, split)
    parts = [
        rng.choice(
            (
                lambda: customer(rng, split),
                lambda: town(rng, split),
                lambda: f"order {order_number(rng, split)}",
                lambda: product(rng),
                lambda: f"{rng.randint(2, 40)} {rng.choice(list(PRODUCTS.values()))}",
                lambda: str(rng.randint(2, 99)),
            )
        )()
        for _ in range(rng.randint(2, 5))
    ]
    notes = ", ".join(parts)
    return Sample(user(f"{task} {notes}"), notes, ({"type": "equals", "value": notes},), ("topic:read-back",))
