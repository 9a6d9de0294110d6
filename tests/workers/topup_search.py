"""Breadth-first search over the model of a top-up: every state is looked at once, and judged.

A state is a tuple of numbers: charges and workers are numbered when they are first seen, and what a worker may do about a
charge is worked out once for each pair.
"""

from __future__ import annotations

import gc
from array import array
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.workers.topup_model import (
    IDLE,
    MAY_TAKE,
    SUCCEEDED,
    Charge,
    Model,
    Scene,
    Worker,
    bank,
    executed,
    forgotten,
    outside,
    parked,
    people,
    settle,
)

World = tuple[Scene, int, int, tuple[int, ...], tuple[int, ...]]
"""The account, how often credits have been needed, outside events left, charges, two workers (charge * WIDTH + worker)."""
WIDTH = 1 << 16


@dataclass
class Found:
    """What a search has seen. `wrong`: the rule that a state breaks, with the way there."""

    states: int = 0
    transitions: int = 0
    quiet: int = 0
    wrong: str | None = None
    path: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)


class Numbered:
    """Numbers for things, in the order in which they are first seen."""

    def __init__(self, first: Any) -> None:
        self.things, self.numbers = [first], {first: 0}

    def __call__(self, thing: Any) -> int:
        number = self.numbers.get(thing)
        if number is None:
            number = self.numbers[thing] = len(self.things)
            self.things.append(thing)
        return number


class Search:
    """One search from one start."""

    def __init__(self, model: Model, events: int) -> None:
        self.model = model
        self.charges, self.workers = Numbered(Charge(need=1)), Numbered(IDLE)
        self.scenes = {scene: scene for scene in (Scene(),)}
        self.start: World = (Scene(), 1, events, (), (0, 0))
        self.moves: dict[tuple[Scene, int, int], list[tuple[bool, Scene, int, int]]] = {}
        self.changes: dict[tuple[Scene, int], list[tuple[int, bool, Scene, int]]] = {}
        self.seen: dict[World, int] = {}

    def run(self) -> Found:
        """Looks at every reachable state; stops at the first that breaks a rule."""
        gc.disable()  # nothing here refers to itself, and millions of tuples would be gone through again and again
        try:
            return self._run()
        finally:
            gc.enable()

    def _run(self) -> Found:
        found, seen, queue = Found(), self.seen, deque([self.start])
        seen[self.start] = 0
        parents, sources, targets, quiet = array("l", [-1]), array("l"), array("l"), array("l")
        while queue:
            world = queue.popleft()
            number = seen[world]
            is_quiet = self._is_quiet(world)
            found.wrong = self._judge(world, is_quiet)
            if found.wrong:
                found.path = self._way(parents, number)
                break
            if is_quiet:
                quiet.append(number)
            for is_way_out, after in self._successors(world):
                found.transitions += 1
                known = seen.get(after)
                if known is None:
                    known = seen[after] = len(seen)
                    parents.append(number)
                    queue.append(after)
                if is_way_out:
                    sources.append(number)
                    targets.append(known)
        found.states, found.quiet = len(seen), len(quiet)
        if not found.wrong:
            found.stuck = self._without_way_out(sources, targets, quiet)
        return found

    def _successors(self, world: World) -> Iterator[tuple[bool, World]]:
        scene, need, events, charges, workers = world
        first, second = workers
        pairs: tuple[tuple[int, int], ...] = ((first, second), (second, first))
        if first == second:
            pairs = pairs[:1]
        elif self.model.workers == 1:
            pairs = ((second, first),)
        for mine, other in pairs:
            index, worker = divmod(mine, WIDTH)
            for at in range(len(charges)) if worker == 0 else (index,):
                for is_way_out, there, charge, after in self._moved(scene, charges[at], worker):
                    left = charges if charge == charges[at] else (*charges[:at], charge, *charges[at + 1 :])
                    now = at * WIDTH + after if after else 0
                    yield (
                        is_way_out,
                        (there, need, events, left, (now, other) if now < other else (other, now)),
                    )
        if self._opens(scene, charges):
            yield (
                True,
                (scene, need, events, (*charges, self.charges(Charge(card=scene.card, need=need))), workers),
            )
        for at, number in enumerate(charges):
            for cost, is_way_out, there, charge in self._changed(scene, number):
                if cost <= events:
                    left = (*charges[:at], charge, *charges[at + 1 :])
                    yield is_way_out, (there, need, events - cost, left, workers)
        if events:
            yield from self._outside(world)

    def _outside(self, world: World) -> Iterator[tuple[bool, World]]:
        scene, need, events, charges, workers = world
        # A purchase or an adjustment lifts the balance; or a spend makes it low again, which is another need.
        after = need if scene.needed else need + 1
        yield False, (scene._replace(needed=not scene.needed), after, events - 1, charges, workers)
        for there, supersedes in outside(scene):
            left = charges
            if supersedes:
                left = tuple(self.charges(self._superseded(number)) for number in charges)
            yield False, (there, need, events - 1, left, workers)

    def _superseded(self, number: int) -> Charge:
        charge: Charge = self.charges.things[number]
        return charge._replace(superseded=True) if charge.state == "action_required" else charge

    def _opens(self, scene: Scene, charges: tuple[int, ...]) -> bool:
        """billing.open_topup: what is not declared dead, or has taken money, counts."""
        rows: list[Charge] = [self.charges.things[number] for number in charges]
        counted = sum(not row.dead or row.granted or row.parked for row in rows)
        return (
            scene.needed
            and scene.allowed
            and len(rows) < self.model.charges_max
            and counted < self.model.cap
            and all(row.dead for row in rows)
        )

    def _moved(self, scene: Scene, charge: int, worker: int) -> list[tuple[bool, Scene, int, int]]:
        key = (scene, charge, worker)
        known = self.moves.get(key)
        if known is None:
            made = self.model.moves(scene, self.charges.things[charge], self.workers.things[worker])
            known = self.moves[key] = list(
                dict.fromkeys(
                    (out, there, self.charges(left), self.workers(after)) for out, there, left, after in made
                )
            )
        return known

    def _changed(self, scene: Scene, number: int) -> list[tuple[int, bool, Scene, int]]:
        """What happens to a charge without our workers: (cost in outside events, is a way out, …)."""
        key = (scene, number)
        known = self.changes.get(key)
        if known is None:
            charge: Charge = self.charges.things[number]
            made = [(0, True, scene, after) for after in bank(charge)]
            if charge.late:
                made += [(0, True, scene, after) for after in executed(charge)]
            if charge.intent == SUCCEEDED and not charge.granted:
                # The webhook. Its loss must do no harm, so it is no way out.
                made.append((0, False, *settle(scene, charge)))
            made += [(1, False, scene, after) for after in people(charge)]
            if not (charge.dead or charge.granted or charge.parked):
                made.append((1, False, scene._replace(allowed=False), parked(charge)))
            known = self.changes[key] = [
                (cost, out, there, self.charges(forgotten(left))) for cost, out, there, left in made
            ]
        return known

    def _judge(self, world: World, is_quiet: bool) -> str | None:
        """Which rule a state breaks, or None."""
        return next(
            (rule for rule in self._broken(world, is_quiet) if rule not in self.model.unchecked), None
        )

    def _broken(self, world: World, is_quiet: bool) -> Iterator[str]:
        charges: list[Charge] = [self.charges.things[number] for number in world[3]]
        taken = [charge for charge in charges if charge.intent == SUCCEEDED]
        live = [charge for charge in charges if charge.sent and charge.intent in MAY_TAKE]
        if len({charge.need for charge in taken}) < len(taken):
            yield "two successful charges for one need"
        if len(live) > 1:
            yield "two PaymentIntents that may both take money"
        if len(taken) + len(live) > self.model.cap:
            yield "charges past the cap"
        if any(charge.dead for charge in live):
            yield "closed here before Stripe has closed it"
        if is_quiet and any(not charge.granted for charge in taken):
            yield "money taken and neither granted nor parked"

    def _is_quiet(self, world: World) -> bool:
        """Nothing is under way and nothing is left to do."""
        if world[4] != (0, 0):
            return False
        charges: list[Charge] = [self.charges.things[number] for number in world[3]]
        return all(charge.dead and not charge.late for charge in charges)

    def _told(self, world: World) -> str:
        scene, need, events, charges, workers = world
        lines = [f"{scene} need {need}, {events} events left"]
        lines += [f"  {self.charges.things[number]}" for number in charges]
        for number in workers:
            worker: Worker = self.workers.things[number % WIDTH]
            if worker.step is not None:
                lines.append(f"  worker at charge {number // WIDTH}: {worker.step}")
        return "\n".join(lines)

    def _way(self, parents: array[int], number: int) -> list[str]:
        worlds, path = list(self.seen), []
        while number >= 0:
            path.append(self._told(worlds[number]))
            number = parents[number]
        return path[::-1]

    def _without_way_out(self, sources: array[int], targets: array[int], quiet: array[int]) -> list[str]:
        """States from which workers, Stripe and the bank cannot come to rest, whatever they do."""
        back: list[array[int]] = [array("l") for _ in self.seen]
        for source, target in zip(sources, targets, strict=True):
            back[target].append(source)
        reached, queue = bytearray(len(self.seen)), deque(quiet)
        for number in quiet:
            reached[number] = 1
        while queue:
            for source in back[queue.popleft()]:
                if not reached[source]:
                    reached[source] = 1
                    queue.append(source)
        return [
            self._told(world) for world, is_reached in zip(self.seen, reached, strict=True) if not is_reached
        ]
