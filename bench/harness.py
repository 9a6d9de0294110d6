"""Rounds, medians and spread, and the file that keeps them."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Side = Callable[[], float]
Samples = dict[str, list[float]]


class BenchError(Exception):
    """A figure that cannot be trusted: something that it stands on failed."""


def rounded(value: float) -> float:
    """Four significant digits, whole from a thousand on."""
    return float(f"{value:.4g}") if abs(value) < 1000 else round(value)


@dataclass
class Recorder:
    """Runs sides in turn and keeps every figure as median and spread, by group and name."""

    rounds: int
    seconds: float
    small: bool = False
    """Tiny data, for the test that the suite runs."""
    figures: dict[str, Any] = field(default_factory=dict)
    spread: dict[str, Any] = field(default_factory=dict)

    def alternate(self, title: str, sides: Mapping[str, Side], rounds: int | None = None) -> Samples:
        """Runs every side once a round, each round beginning with another one."""
        names = list(sides)
        samples: Samples = {name: [] for name in names}
        count = min(rounds or self.rounds, self.rounds)
        for number in range(count):
            start = number % len(names)
            for name in names[start:] + names[:start]:
                print(f"  {title}: round {number + 1} of {count}, {name} … ", end="", flush=True)
                samples[name].append(sides[name]())
                print(f"{samples[name][-1]:,.5g}", flush=True)
        return samples

    def keep(self, name: str, samples: Sequence[float]) -> float:
        """Keeps a figure under its dotted name: the median there, all of it under `spread`."""
        median = rounded(statistics.median(samples))
        at = self.figures
        *groups, last = name.split(".")
        for group in groups:
            at = at.setdefault(group, {})
        at[last] = median
        self.spread[name] = {
            "median": median,
            "min": rounded(min(samples)),
            "max": rounded(max(samples)),
            "samples": [rounded(sample) for sample in samples],
        }
        return median

    def keep_ratio(self, name: str, ours: Sequence[float], reference: Sequence[float]) -> float:
        """Keeps the ratio of what was measured in the same round."""
        return self.keep(name, [a / b for a, b in zip(ours, reference, strict=True)])

    def keep_worst(self, name: str, of: Sequence[str]) -> None:
        """Keeps the lowest of several figures under one name as well."""
        worst = min(of, key=lambda each: self.spread[each]["median"])
        self.keep(name, self.spread[worst]["samples"])


def write(path: Path, recorder: Recorder, groups: Sequence[str], facts: Mapping[str, Any]) -> None:
    """Writes the results; groups that did not run this time stay as they were, with the date of their run."""
    old: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    run = {"date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"), "rounds": recorder.rounds}
    run |= {"seconds": recorder.seconds}
    document = old | {
        "machine": machine() | dict(facts),
        "runs": old.get("runs", {}) | dict.fromkeys(groups, run),
        **recorder.figures,
        "spread": old.get("spread", {}) | recorder.spread,
    }
    path.write_text(json.dumps(document, indent=2) + "\n")


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load_average": rounded(os.getloadavg()[0]),
    }


def table(recorder: Recorder) -> str:
    """The figures of this run, one a line."""
    width = max(map(len, recorder.spread), default=0)
    return "\n".join(
        f"{name:{width}}  {of['median']:>12,.6g}   ({of['min']:,.6g} to {of['max']:,.6g})"
        for name, of in recorder.spread.items()
    )


def timed(run: Callable[[], object]) -> float:
    """The seconds that a call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
