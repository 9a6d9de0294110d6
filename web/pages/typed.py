"""What a person typed into a form: read, kept for the page that shows it again, and what is wrong with it, by field."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import ValidationError

from shared import credits
from web.fields import Body

T = TypeVar("T")
B = TypeVar("B", bound=Body)
LENGTH_MAX = 2_100
"""So much of a field is kept: a little more than the longest that any form takes, so that too long is still seen."""


@dataclass(frozen=True, slots=True)
class Typed:
    """A form. `values`: texts by field. `faults`: sentences for people by field; none: everything could be read."""

    values: Mapping[str, str]
    faults: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, fields: Mapping[str, str], names: Iterable[str]) -> Typed:
        """What was sent under these names; what was not is empty."""
        return cls({name: fields.get(name, "").strip()[:LENGTH_MAX] for name in names})

    def read(self, name: str, parse: Callable[[str], T]) -> T | None:
        """The field by a parser whose ValueError goes on after "Write"; None with a fault."""
        try:
            return parse(self.values[name])
        except ValueError as error:
            self.faults[name] = f"Write {error}."
            return None

    def chosen(self, name: str, offered: Collection[str]) -> str | None:
        """The field if it is one of those that the form offers; None with a fault."""
        if self.values[name] in offered:
            return self.values[name]
        self.faults[name] = "Choose one of these."
        return None

    def checked(self, model: type[B], sentences: Mapping[str, str], **read: object) -> B | None:
        """The form by the model of the API; None with a fault at each field that it refuses, or that was so before.

        sentences: what people are told of a field, since the model speaks to programs. read: fields as they were read.
        """
        try:
            found = model.model_validate({**self.values, **read}, strict=False)
        except ValidationError as error:
            for complaint in error.errors():
                name = str(complaint["loc"][0]) if complaint["loc"] else next(iter(self.values))
                self.faults.setdefault(
                    name, sentences.get(name, "This cannot be used. Write something else.")
                )
            return None
        return None if self.faults else found


def some_credits(text: str) -> int:
    """Credits above zero, for Typed.read: micro-credits."""
    if (micro := credits.from_text(text)) == 0:
        raise ValueError("more than zero credits")
    return micro
