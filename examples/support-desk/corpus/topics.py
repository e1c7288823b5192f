"""The desk's other topics: opening hours, shipping, passwords and what else customers ask about."""

from __future__ import annotations

import random
from typing import Any

from .sample import Sample, Split, Wordings, phrase, user
from .shop import PRODUCTS, first_name

#: The shop's other topics: wordings, reply, and what a reply must say.
_TOPICS: dict[str, tuple[Wordings, str, dict[str, Any]]] = {
    "hours": (
        Wordings(
            (
                "When are you open?",
                "What are your opening hours?",
                "Are you open on Saturday?",
                "Until what time can I call you?",
                "When can I reach the support team?",
            ),
            ("What are the opening hours of the support team?", "When can I call you?"),
        ),
        "Our support team is open Monday to Saturday from 8 am to 6 pm.",
        {"type": "contains", "value": "8 am to 6 pm"},
    ),
    "shipping": (
        Wordings(
            (
                "How long does shipping take?",
                "When will my new order arrive?",
                "How fast do you deliver?",
                "How many days does delivery take?",
                "How long until my parcel arrives?",
            ),
            ("How long does delivery take?", "How many days until my new order arrives?"),
        ),
        "Standard delivery takes 2 to 4 days and express delivery takes 1 day.",
        {"type": "contains_all", "values": ["2 to 4 days", "1 day"]},
    ),
    "password": (
        Wordings(
            (
                "I forgot my password.",
                "How do I reset my password?",
                "I cannot log in, my password does not work.",
                "My password is not accepted. What can I do?",
                "I need a new password for my account.",
            ),
            ("How do I get a new password?", "I forgot the password for my account."),
        ),
        "Choose Forgot password on the login page and we will email you a link to set a new one.",
        {"type": "contains", "value": "Forgot password"},
    ),
    "address": (
        Wordings(
            (
                "How do I change my address?",
                "I moved house. Where do I enter my new address?",
                "My delivery address is wrong.",
                "Can I change the delivery address?",
                "I have a new address.",
            ),
            ("Where do I change my delivery address?", "I moved and have a new address."),
        ),
        "Open My account, choose Addresses and enter the new address there.",
        {"type": "contains_all", "values": ["My account", "Addresses"]},
    ),
    "warranty": (
        Wordings(
            (
                "How long is the warranty?",
                "Do your products have a warranty?",
                "Is there a warranty on the {item}?",
                "What warranty do I get?",
                "Does the {item} come with a warranty?",
            ),
            ("How long is the warranty on the {item}?", "What warranty does the {item} have?"),
        ),
        "Everything we sell has a warranty of 2 years.",
        {"type": "contains", "value": "2 years"},
    ),
    "invoice": (
        Wordings(
            (
                "Where do I find my invoice?",
                "I need an invoice.",
                "Can you send me the invoice?",
                "How do I download an invoice?",
                "I lost my invoice.",
            ),
            ("Where can I download my invoice?", "Can I get an invoice?"),
        ),
        "You can download every invoice under My account, Orders.",
        {"type": "contains_all", "values": ["My account", "Orders"]},
    ),
    "tracking": (
        Wordings(
            (
                "Where is my parcel?",
                "How do I track my parcel?",
                "Can I follow my parcel?",
                "I want to track my order.",
                "How do I see where my parcel is?",
            ),
            ("How can I follow my parcel?", "Where do I track my order?"),
        ),
        "Use the tracking link in your shipping email to see where the parcel is.",
        {"type": "contains", "value": "tracking link"},
    ),
    "payment": (
        Wordings(
            (
                "How can I pay?",
                "Which payment methods do you accept?",
                "Can I pay by invoice?",
                "Do you take credit cards?",
                "Can I pay by bank transfer?",
            ),
            ("Which credit cards do you take?", "How can I pay for my order?"),
        ),
        "You can pay by card, by bank transfer or on delivery.",
        {"type": "contains_all", "values": ["card", "bank transfer"]},
    ),
    "gift-wrap": (
        Wordings(
            (
                "Can you wrap the {item} as a gift?",
                "Do you offer gift wrapping?",
                "I would like the {item} gift wrapped.",
                "Is gift wrapping free?",
            ),
            ("Can I get the {item} gift wrapped?", "Do you wrap gifts?"),
        ),
        "Gift wrapping is free: tick the box at checkout.",
        {"type": "contains_all", "values": ["free", "tick the box"]},
    ),
    "newsletter": (
        Wordings(
            (
                "How do I stop the newsletter?",
                "I get too many emails from you.",
                "Please take me off the newsletter.",
                "How do I unsubscribe?",
            ),
            ("How do I unsubscribe from the newsletter?", "Please stop the newsletter."),
        ),
        "Click Unsubscribe at the end of any newsletter and the emails stop at once.",
        {"type": "contains", "value": "Unsubscribe"},
    ),
    "stock": (
        Wordings(
            (
                "Is the {item} in stock?",
                "When will the {item} be back in stock?",
                "Do you still have the {item}?",
                "Is the {item} sold out?",
            ),
            ("Do you still have the {item} in stock?", "Is the {item} still sold?"),
        ),
        "The stock is shown on the page of the {item}, and you can ask for an email when it is back.",
        {"type": "contains", "value": "The stock is shown"},
    ),
    "cancel": (
        Wordings(
            (
                "Can I cancel my order?",
                "How do I cancel an order?",
                "I want to cancel the {item} I just ordered.",
                "Please cancel the order I made today.",
            ),
            ("How can I cancel the order I made today?", "I want to cancel my order."),
        ),
        "You can cancel an order under My account until we have packed it.",
        {"type": "contains", "value": "until we have packed it"},
    ),
}


def draw(rng: random.Random, split: Split) -> Sample:
    """Draw a question about any of the topics, signed or not."""
    topic = rng.choice(list(_TOPICS))
    wordings, reply, check = _TOPICS[topic]
    wording, unseen = wordings.pick(rng, split)
    item = rng.choice(list(PRODUCTS))
    name = first_name(rng, split)
    text = phrase(rng, wording.format(item=item))
    if split is Split.GOLDEN or rng.random() < 0.5:
        text = f"{text} {rng.choice(('Best,', 'Regards,', 'Kind regards,', 'Greetings,'))} {name}"
    return Sample(
        user(text),
        reply.format(item=item),
        (check,),
        (f"topic:{topic}", "support", *(("wording:new",) if unseen else ())),
        ("Thank you for your message. We will refund you within 3 to 7 business days.",),
        f"topic-{topic}",
    )
