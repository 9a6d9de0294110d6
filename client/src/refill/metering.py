"""The decorator, and two calls by name for platforms that ask before and charge after."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from refill._values import Credits, Fields, Item, Spend, Usage
from refill.aio import AsyncRefill
from refill.client import Refill

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from refill._aio_holds import AsyncHold
    from refill._holds import Hold

F = TypeVar("F", bound=Callable[..., Any])
Cost = Callable[[Any], Usage]


class Meter:
    """What @metered knows of a function."""

    def __init__(
        self,
        client: Refill | AsyncRefill,
        hold: dict[str, Any],
        cost: Cost | None,
        fields: Callable[..., Mapping[str, Any]] | None,
    ) -> None:
        self._client, self._hold, self.cost, self._fields = client, hold, cost, fields

    def hold(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Hold:
        """For one call of a function or generator."""
        if not isinstance(self._client, Refill):
            raise TypeError("a function is metered with Refill, a coroutine with AsyncRefill")
        return self._client.hold(**self._options(args, kwargs))

    def async_hold(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> AsyncHold:
        """For one call of a coroutine function or async generator."""
        if not isinstance(self._client, AsyncRefill):
            raise TypeError("a coroutine is metered with AsyncRefill, a function with Refill")
        return self._client.hold(**self._options(args, kwargs))

    def report(self, hold: Hold | AsyncHold, result: object) -> None:
        """What the result says it cost."""
        if self.cost is not None:
            hold.cost(self.cost(result))

    def _options(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        return self._hold | (dict(self._fields(*args, **kwargs)) if self._fields else {})


def metered(
    action: str | None = None,
    *,
    client: Refill | AsyncRefill,
    amount: Credits | None = None,
    quantity: int = 1,
    dimensions: Item | None = None,
    expires_in: int = 900,
    cost: Cost | None = None,
    fields: Callable[..., Mapping[str, Any]] | None = None,
) -> Callable[[F], F]:
    """Hold before the function runs, charge when it succeeds, release when it raises.

    For functions and generators with Refill, for coroutines and async generators with AsyncRefill. The hold is extended
    while they run. A stream is charged when it ends; if its consumer stops early, when it had yielded anything; if it
    raises, not at all. cost turns the result (of a stream: its last item) into usage items, charged instead of the
    action's price. fields gets the function's arguments and answers account_id, agent, member_id, … of the call.
    """
    hold = {"action": action, "amount": amount, "quantity": quantity, "dimensions": dimensions}
    meter = Meter(client, hold | {"expires_in": expires_in}, cost, fields)

    def decorate(function: F) -> F:
        if inspect.isasyncgenfunction(function):
            wrapped: Any = _async_stream(meter, function)
        elif inspect.iscoroutinefunction(function):
            wrapped = _coroutine(meter, function)
        elif inspect.isgeneratorfunction(function):
            wrapped = _stream(meter, function)
        else:
            wrapped = _function(meter, function)
        functools.update_wrapper(wrapped, function)
        return cast("F", wrapped)

    return decorate


def _function(meter: Meter, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        with meter.hold(args, kwargs) as hold:
            result = function(*args, **kwargs)
            meter.report(hold, result)
        return result

    return call


def _coroutine(meter: Meter, function: Callable[..., Any]) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        async with meter.async_hold(args, kwargs) as hold:
            result = await function(*args, **kwargs)
            meter.report(hold, result)
        return result

    return call


def _stream(meter: Meter, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with meter.hold(args, kwargs) as hold:
            stream = function(*args, **kwargs)
            last, begun, result = None, False, None
            try:
                item = next(stream)
                while True:
                    last, begun = item, True
                    item = stream.send((yield item))
            except StopIteration as stop:
                result = stop.value
            except GeneratorExit:
                stream.close()
                if not begun:
                    raise
            if begun:
                meter.report(hold, last)
        return result

    return call


def _async_stream(meter: Meter, function: Callable[..., Any]) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        async with meter.async_hold(args, kwargs) as hold:
            stream = function(*args, **kwargs)
            last, begun = None, False
            try:
                async for item in stream:
                    last, begun = item, True
                    yield item
            except GeneratorExit:
                await stream.aclose()
                if not begun:
                    raise
            if begun:
                meter.report(hold, last)

    return call


@overload
def consume_credits_for_action(
    client: Refill, action: str, quantity: int = 1, *, dimensions: Item | None = None, id: str | None = None,
    hold_id: str | None = None, **fields: Unpack[Fields],
) -> Spend: ...  # fmt: skip
@overload
def consume_credits_for_action(
    client: AsyncRefill, action: str, quantity: int = 1, *, dimensions: Item | None = None, id: str | None = None,
    hold_id: str | None = None, **fields: Unpack[Fields],
) -> Awaitable[Spend]: ...  # fmt: skip
def consume_credits_for_action(
    client: Refill | AsyncRefill,
    action: str,
    quantity: int = 1,
    *,
    dimensions: Item | None = None,
    id: str | None = None,
    hold_id: str | None = None,
    **fields: Unpack[Fields],
) -> Spend | Awaitable[Spend]:
    """Charge an action once it has succeeded. Raises Insufficient, Conflict, Refused, Unavailable."""
    return client.use(action, quantity=quantity, dimensions=dimensions, id=id, hold_id=hold_id, **fields)


@overload
def check_credits_available(
    client: Refill, action: str, quantity: int = 1, *, dimensions: Item | None = None,
    hold_id: str | None = None, **fields: Unpack[Fields],
) -> bool: ...  # fmt: skip
@overload
def check_credits_available(
    client: AsyncRefill, action: str, quantity: int = 1, *, dimensions: Item | None = None,
    hold_id: str | None = None, **fields: Unpack[Fields],
) -> Awaitable[bool]: ...  # fmt: skip
def check_credits_available(
    client: Refill | AsyncRefill,
    action: str,
    quantity: int = 1,
    *,
    dimensions: Item | None = None,
    hold_id: str | None = None,
    **fields: Unpack[Fields],
) -> bool | Awaitable[bool]:
    """Whether the action would be let through now. Promises nothing: a hold does. Raises Refused, Unavailable."""
    if isinstance(client, Refill):
        quote = client.quote(action, quantity=quantity, dimensions=dimensions, hold_id=hold_id, **fields)
        return quote.sufficient
    return _sufficient(client, action, quantity, dimensions, hold_id, fields)


async def _sufficient(
    client: AsyncRefill,
    action: str,
    quantity: int,
    dimensions: Item | None,
    hold_id: str | None,
    fields: Fields,
) -> bool:
    quote = await client.quote(action, quantity=quantity, dimensions=dimensions, hold_id=hold_id, **fields)
    return quote.sufficient
