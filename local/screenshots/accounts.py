"""Accounts that the states begin with."""

from __future__ import annotations

import itertools
import os

from local.api import await_value
from local.scene import Place, Scene

BOUGHT = 100
_numbers = itertools.count(1)


def unique(name: str) -> str:
    """A name that nobody else has."""
    return f"{name}-{os.getpid()}-{next(_numbers)}"


def opened(scene: Scene, name: str) -> Place:
    """An account with nothing in it."""
    place = Place(scene, unique(name))
    scene.ledger.open_account(place.id, "Acme Research", "owner@example.com", None, 0, "pictures")
    return place


def bought(scene: Scene, name: str) -> Place:
    """An account with 100 credits and a card."""
    place = opened(scene, name)
    place.pay(place.checkout())
    await_value(lambda: place.balance == BOUGHT, "the purchase to be granted")
    return place
