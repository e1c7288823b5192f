"""Questions about the refund policy itself: how long, how much, until when."""

from __future__ import annotations

import random
from collections.abc import Callable

from .policy import TODAY, Policy, other_year
from .sample import Sample, Split, Wordings, draw_in, marks, phrase, user
from .shop import a, order_number, product

_QUESTIONS: dict[str, tuple[Wordings, Callable[[Policy], str], str]] = {
    "how-long": (
        Wordings(
            known=(
                "How long does the refund for {a_item} take?",
                "When will I get my refund for order {order}?",
                "I sent the {item} back. When do I get my money?",
                "How many days until the refund for the {item} arrives?",
                "My refund for order {order} is not here yet. How long does it take?",
            ),
            unseen=(
                "When does my money for the {item} arrive? I sent it back.",
                "How many days does the refund for order {order} take?",
            ),
        ),
        lambda policy: (
            f"Once the parcel has reached us, a refund takes {policy.delay}. "
            "You get an email when it is on its way."
        ),
        "delay",
    ),
    "postage": (
        Wordings(
            known=(
                "Who pays for sending the {item} back?",
                "Is return shipping free for the {item}?",
                "Do I have to pay the postage when I return {a_item}?",
                "What does it cost to return {a_item}?",
            ),
            unseen=("Do I have to pay for sending {a_item} back?", "Is it free to return the {item}?"),
        ),
        lambda policy: (
            "Return shipping is free: we email you a label for the parcel."
            if policy is TODAY
            else "Return shipping is at your own cost: any carrier with tracking will do."
        ),
        "postage",
    ),
    "window": (
        Wordings(
            known=(
                "How long do I have to return {a_item}?",
                "How many days do I have to send the {item} back?",
                "Until when can I return the {item}?",
                "What is the return window for {a_item}?",
            ),
            unseen=("Until when can I send {a_item} back?",),
        ),
        lambda policy: f"You can return an unused item within {policy.window} days of delivery.",
        "window",
    ),
}
_ANSWERS = {
    "delay": {"type": "contains", "value": TODAY.delay},
    "postage": {"type": "contains", "value": "is free"},
    "window": {"type": "contains", "value": f"{TODAY.window} days"},
}


def draw(rng: random.Random, split: Split, policy: Policy) -> Sample:
    """Draw one question about the policy itself."""
    topic = rng.choice(list(_QUESTIONS))
    wordings, reply, key = _QUESTIONS[topic]
    if split is Split.GOLDEN and rng.random() < 0.4:
        wording, unseen, item = rng.choice(wordings.unseen), True, product(rng)
    else:
        item, wording = draw_in(split, lambda: (product(rng), rng.choice(wordings.known)))
        unseen = False
    return Sample(
        user(phrase(rng, wording.format(item=item, a_item=a(item), order=order_number(rng, split)))),
        reply(policy),
        (_ANSWERS[key],),
        marks(unseen, f"topic:{topic}"),
        (reply(other_year(policy)),),
    )
