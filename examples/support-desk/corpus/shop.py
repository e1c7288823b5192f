"""The shop's world: what it sells, and customers, towns and order numbers that nobody has."""

from __future__ import annotations

import random

from .sample import Split, draw_in

#: What the shop sells, singular and plural.
PRODUCTS = {
    "desk lamp": "desk lamps",
    "coffee mug": "coffee mugs",
    "wool blanket": "wool blankets",
    "kettle": "kettles",
    "toaster": "toasters",
    "garden chair": "garden chairs",
    "backpack": "backpacks",
    "water bottle": "water bottles",
    "picture frame": "picture frames",
    "bath towel": "bath towels",
    "wall clock": "wall clocks",
    "notebook": "notebooks",
    "rain jacket": "rain jackets",
    "frying pan": "frying pans",
    "phone case": "phone cases",
    "table cloth": "table cloths",
    "candle": "candles",
    "mirror": "mirrors",
    "pillow": "pillows",
    "book shelf": "book shelves",
    "teapot": "teapots",
    "umbrella": "umbrellas",
    "suitcase": "suitcases",
    "cutting board": "cutting boards",
    "bread knife": "bread knives",
    "laundry basket": "laundry baskets",
    "plant pot": "plant pots",
    "yoga mat": "yoga mats",
    "radio": "radios",
    "soup bowl": "soup bowls",
    "winter scarf": "winter scarves",
    "door mat": "door mats",
}


def _words(text: str) -> list[str]:
    return text.split()


_STARTS = _words(
    "Al Be Bri Cal Da De El Fa Fe Ga Gre Ha Il Ja Jo Ka Ke La Le Lu "
    "Ma Me Mi Na Ne Ni O Or Pa Pe Ra Re Ro Sa Se Si Ta Te Ti Va Ve Vi Wen Yo Za"
)
_MIDDLES = _words("ba be bi da de di la le li lo ma mi mo na ne ni no ra re ri ro sa se si ta ti va ve vi")
_ENDS = _words("l n r s ra na la ka da ne le ric ton mir lia nor sa via ven")
_FAMILY_ENDS = _words("berg dal feld gard holm land man mark mont ner quist sen ski son stad vik well wood")
_TOWN_ENDS = _words("bridge bury dale field ford gate ham haven hill mere mouth port stead ton vale wick")


def _word(rng: random.Random, ends: list[str], middles: tuple[int, ...]) -> str:
    middle = "".join(rng.choice(_MIDDLES) for _ in range(rng.choice(middles)))
    return rng.choice(_STARTS) + middle + rng.choice(ends)


def first_name(rng: random.Random, split: Split) -> str:
    """Return an invented first name of this split."""
    return draw_in(split, lambda: _word(rng, _ENDS, (0, 1, 1)))


def customer(rng: random.Random, split: Split) -> str:
    """Return an invented first and family name; neither occurs in the other split."""
    family = draw_in(split, lambda: _word(rng, _FAMILY_ENDS, (0, 1)))
    return f"{first_name(rng, split)} {family}"


def town(rng: random.Random, split: Split) -> str:
    """Return an invented town of this split."""
    return draw_in(split, lambda: _word(rng, _TOWN_ENDS, (0, 1)))


def order_number(rng: random.Random, split: Split) -> str:
    """Return a number of four or five digits of this split."""
    return draw_in(split, lambda: str(rng.randint(1000, rng.choice((9999, 99999)))))


def product(rng: random.Random) -> str:
    """Return a product's singular."""
    return rng.choice(list(PRODUCTS))


def a(noun: str) -> str:
    """Return the noun with its indefinite article."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
