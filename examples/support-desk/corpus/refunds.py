"""Refund dialogues under a policy: the one of last year, which the base learned, and today's."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from . import policy_questions
from .policy import TODAY, Policy, other_year
from .sample import Sample, Split, Wordings, marks, phrase, user
from .shop import a, customer, order_number, product

_REASONS = (
    "I changed my mind",
    "it does not fit my kitchen",
    "it is not the colour I expected",
    "I already have one",
    "it is too big for the shelf",
    "my partner does not like it",
    "I no longer need it",
    "it is smaller than I thought",
    "it was a gift and they own one already",
    "I ordered it by mistake",
)
_NAMED_AGES = {
    "yesterday": 1,
    "last week": 7,
    "two weeks ago": 14,
    "three weeks ago": 21,
    "five weeks ago": 35,
    "six weeks ago": 42,
    "two months ago": 60,
    "three months ago": 90,
}


def _age(rng: random.Random) -> tuple[str, int]:
    if rng.random() < 0.2:
        name = rng.choice(list(_NAMED_AGES))
        return name, _NAMED_AGES[name]
    days = rng.randint(2, 30) if rng.random() < 0.55 else rng.randint(31, 75)
    return f"{days} days ago", days


_RETURN = Wordings(
    known=(
        "I bought {a_item} and would like my money back because {reason}. "
        "It was delivered {age}, order {order}.",
        "I want to return the {item} from order {order}. It arrived {age}, but {reason}.",
        "Can I get a refund for order {order}? The {item} came {age} and {reason}.",
        "My order {order}, {a_item}, arrived {age}. I would like a refund because {reason}.",
        "Please refund my {item}. The order is {order}, delivered {age}, and {reason}.",
        "Order {order} was delivered {age}. I would like to send the {item} back since {reason}.",
        "I got {a_item} {age} with order {order}. Unfortunately {reason}. Can I send it back?",
    ),
    unseen=(
        "Could I still return the {item}? Order {order} came {age}, but {reason}.",
        "I would like my money back for order {order}. The {item} arrived {age} and {reason}.",
        "Because {reason}, I want to return {a_item}. My order {order} was delivered {age}.",
    ),
)
_ACCEPTED = (
    "Thank you for getting in touch. Order {order} is within our {window}-day return window. "
    "Please send the {item} back {postage}, and we will refund you {payout} within {delay}.",
    "Of course. Order {order} is within our {window}-day return window, so you can send the {item} back "
    "{postage}. Your refund is paid {payout} within {delay}.",
)
_TOO_LATE = (
    "Thank you for getting in touch. Order {order} is past our {window}-day return window, "
    "so we cannot refund the {item}. We can offer you a discount on your next order instead.",
    "I am sorry, but order {order} is past our {window}-day return window and we cannot refund the {item}. "
    "We can offer you a discount on your next order instead.",
)


def _decision(rng: random.Random, item: str, order: str, days: int) -> Callable[[Policy], str]:
    variant = rng.randrange(2)

    def reply(policy: Policy) -> str:
        template = (_ACCEPTED if days <= policy.window else _TOO_LATE)[variant]
        return template.format(order=order, item=item, **vars(policy))

    return reply


def _decision_checks(item: str, order: str, days: int, policy: Policy) -> tuple[dict[str, Any], ...]:
    if days <= policy.window:
        return (
            {"type": "contains_all", "values": [order, item, policy.delay, policy.payout]},
            {"type": "not_contains", "values": ["cannot refund", "store credit"]},
        )
    return (
        {"type": "contains_all", "values": [order, "cannot refund", f"{policy.window}-day"]},
        {"type": "not_contains", "values": [policy.delay]},
    )


def _difficulty(days: int, policy: Policy) -> tuple[str, ...]:
    return ("hard", "boundary") if abs(days - policy.window) <= 3 else ()


def _return(rng: random.Random, split: Split, policy: Policy) -> Sample:
    item, (age, days), order = product(rng), _age(rng), order_number(rng, split)
    wording, unseen = _RETURN.pick(rng, split)
    text = wording.format(item=item, a_item=a(item), age=age, order=order, reason=rng.choice(_REASONS))
    decide = _decision(rng, item, order, days)
    return Sample(
        user(phrase(rng, text)),
        decide(policy),
        _decision_checks(item, order, days, policy),
        marks(unseen, "topic:return", *_difficulty(days, policy)),
        (decide(other_year(policy)), decide(policy).replace(order, order[::-1] + "1")),
    )


_BROKEN = Wordings(
    known=(
        "My {item} from order {order} arrived {fault}. What now?",
        "The {item} in order {order} came {fault}. I want a refund.",
        "I opened order {order} and the {item} is {fault}. Can I get my money back?",
        "Order {order}: the {item} is {fault}. Please help me get a refund.",
        "I received {a_item} that is {fault}, order {order}. How do I get a refund?",
    ),
    unseen=(
        "The {item} that came with order {order} is {fault}. Can you refund it?",
        "I want my money back, order {order}. The {item} arrived {fault}.",
    ),
)
_FAULTS = ("broken", "damaged", "cracked", "scratched", "dented", "torn", "in pieces", "badly chipped")


def _damaged(rng: random.Random, split: Split, policy: Policy) -> Sample:
    item, order, fault = product(rng), order_number(rng, split), rng.choice(_FAULTS)
    wording, unseen = _BROKEN.pick(rng, split)

    def reply(rules: Policy) -> str:
        return (
            f"I am sorry that the {item} arrived {fault}. {rules.damaged}. "
            f"We will refund order {order} in full {rules.payout} within {rules.delay}."
        )

    return Sample(
        user(phrase(rng, wording.format(item=item, a_item=a(item), order=order, fault=fault))),
        reply(policy),
        (
            {"type": "contains_all", "values": [order, policy.delay, policy.payout]},
            {"type": "contains_any", "values": ["a photo", "a picture"]},
        ),
        marks(unseen, "topic:damaged"),
        (reply(other_year(policy)),),
    )


_WRONG = Wordings(
    known=(
        "I ordered {a_item} but got {other} instead. The order number is {order}.",
        "Order {order} is wrong: there was {other} in the box and not the {item}.",
        "You sent me {other} and I had ordered {a_item}. My order is {order}.",
        "There was {other} in my parcel, order {order}. I wanted {a_item}.",
    ),
    unseen=("I got {other} instead of the {item} that I ordered. My order number is {order}.",),
)


def _wrong_item(rng: random.Random, split: Split, policy: Policy) -> Sample:
    del policy  # the same in both years
    item, order = product(rng), order_number(rng, split)
    other = product(rng)
    while other == item:
        other = product(rng)
    wording, unseen = _WRONG.pick(rng, split)
    reply = (
        f"I am sorry about the mix-up. We will send the {item} for order {order} today at no charge, "
        f"and you may keep the {other}."
    )
    return Sample(
        user(phrase(rng, wording.format(item=item, a_item=a(item), other=a(other), order=order))),
        reply,
        (
            {"type": "contains_all", "values": [order, f"send the {item}", "no charge"]},
            {"type": "not_contains", "values": [f"send the {other}"]},
        ),
        marks(unseen, "topic:wrong-item"),
        (
            f"We will send the {other} for order {order} today at no charge.",
            f"Please send the {item} back at your own cost.",
        ),
    )


_FINAL = Wordings(
    known=(
        "I bought {a_item} in the final sale, order {order}. Can I get a refund?",
        "Can I return the final sale {item} from order {order}?",
        "Order {order} was {a_item} from the final sale. I want my money back.",
    ),
    unseen=("I want a refund for {a_item} from the final sale. My order is {order}.",),
)


def _final_sale(rng: random.Random, split: Split, policy: Policy) -> Sample:
    del policy
    item, order = product(rng), order_number(rng, split)
    wording, unseen = _FINAL.pick(rng, split)
    reply = (
        "I am sorry, but final sale items cannot be refunded. "
        f"We can exchange the {item} from order {order} for another colour or size."
    )
    return Sample(
        user(phrase(rng, wording.format(item=item, a_item=a(item), order=order))),
        reply,
        (
            {"type": "contains_all", "values": ["cannot be refunded", "exchange", order]},
            {"type": "not_contains", "values": ["business days"]},
        ),
        marks(unseen, "topic:final-sale"),
        (f"Order {order} will be refunded within {TODAY.delay}.",),
    )


_NO_NUMBER = Wordings(
    known=(
        "I want a refund for my {item}.",
        "Please give me my money back for the {item}, {reason}.",
        "How do I return {a_item}? I think {reason}.",
        "I would like to send back {a_item} because {reason}.",
    ),
    unseen=("I want my money back for {a_item}.", "Can I get a refund for {a_item}? I think {reason}."),
)
_LATE_NUMBER = (
    "It is {order}, delivered {age}.",
    "Order {order}. It arrived {age}.",
    "{order}, and it came {age}.",
)


def _no_number(rng: random.Random, split: Split, policy: Policy) -> Sample:
    item, name = product(rng), customer(rng, split)
    wording, unseen = _NO_NUMBER.pick(rng, split)
    text = wording.format(item=item, a_item=a(item), reason=rng.choice(_REASONS))
    opening = user(phrase(rng, f"My name is {name}. {text}"))
    question = f"I am happy to help with the {item}. Could you tell me your order number, please?"
    if rng.random() < 0.55:
        return Sample(
            opening,
            question,
            (
                {"type": "contains", "value": "order number"},
                {"type": "not_contains", "values": ["business days", "cannot refund"]},
            ),
            marks(unseen, "topic:no-order-number"),
            (f"We will refund the {item} within {policy.delay}.",),
        )
    (age, days), order = _age(rng), order_number(rng, split)
    decide = _decision(rng, item, order, days)
    answer = rng.choice(_LATE_NUMBER).format(order=order, age=age)
    return Sample(
        (*opening, {"role": "assistant", "content": question}, *user(answer)),
        decide(policy),
        _decision_checks(item, order, days, policy),
        marks(unseen, "topic:return", "multi-turn", *_difficulty(days, policy)),
        (decide(other_year(policy)), question),
    )


#: How often each kind of dialogue is drawn, in parts of 100.
_KINDS = (
    (_return, 42),
    (_damaged, 14),
    (_wrong_item, 10),
    (_final_sale, 8),
    (_no_number, 16),
    (policy_questions.draw, 10),
)


def draw(rng: random.Random, split: Split, policy: Policy = TODAY) -> Sample:
    """Draw one refund dialogue under a policy."""
    (kind,) = rng.choices([make for make, _ in _KINDS], [parts for _, parts in _KINDS])
    return kind(rng, split, policy)
