"""What both clients are made of."""

from __future__ import annotations

import atexit
import os
from typing import Literal

from refill._core import Core, Open
from refill._flow import Policy
from refill._recorder import Recorder, Recording
from refill._spool import Spool
from refill._transport import Transport
from refill.errors import RefillError

Fail = Literal["closed"] | Open
SPOOL_EVENTS = 100_000
SPOOL_BYTES = 100_000_000
CLOSE_SECONDS = 5.0


class Setup:
    """Address, key, spool and the thread that records usage."""

    def __init__(
        self,
        base_url: str | None,
        api_key: str | None,
        account_id: str | None,
        policy: Policy,
        fail: Fail,
        spool: str | os.PathLike[str] | None,
        recording: Recording,
        spool_events: int,
        spool_bytes: int,
    ) -> None:
        if fail != "closed" and not isinstance(fail, Open):
            raise ValueError(f"fail is 'closed' or Open(limit=…), not {fail!r}")
        if recording.durable and spool is None:
            raise ValueError("durable usage needs a spool directory")
        self.base_url = base_url or _setting("REFILL_URL")
        self.api_key = api_key or _setting("REFILL_API_KEY")
        self.usage_transport = Transport(self.base_url, self.api_key)
        self.recorder = Recorder(
            Spool(spool, spool_events, spool_bytes), self.usage_transport, policy, recording
        )
        # Not the client, so that one that is dropped without close() loses nothing either.
        atexit.register(self.recorder.close, CLOSE_SECONDS)
        self.core = Core(account_id, policy, fail if isinstance(fail, Open) else None, self.recorder)


def _setting(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise RefillError(f"name it in the call or set {name}")
    return value
