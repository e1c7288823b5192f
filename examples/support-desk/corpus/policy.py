"""The refund policy: last year's, which the base learned, and today's, which it is to be taught."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Policy:
    """What decides a refund.

    Attributes:
        window: Days after delivery within which an item may come back.
        delay: How long the money takes.
        payout: Where the money goes.
        postage: Who pays for the parcel back, as a sentence's end.
        damaged: What happens to a damaged item.
    """

    window: int
    delay: str
    payout: str
    postage: str
    damaged: str


LAST_YEAR = Policy(
    window=14,
    delay="5 to 10 business days",
    payout="as store credit",
    postage="at your own cost",
    damaged="Please send it back for inspection",
)
TODAY = Policy(
    window=30,
    delay="3 to 7 business days",
    payout="to your original payment method",
    postage="with the free label we have emailed you",
    damaged="Please reply with a photo of the damage and keep the item",
)


def other_year(policy: Policy) -> Policy:
    """Return the policy of the other year: what a model says that has not learned, or not forgotten."""
    return LAST_YEAR if policy is TODAY else TODAY
