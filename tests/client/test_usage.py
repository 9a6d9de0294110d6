"""Usage: batched without waiting, spooled while the service is away, drained in order; none lost, none doubled."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from pathlib import Path

import pytest

from refill import Recording, SpoolFull, Unavailable
from refill._spool import USAGE, Entry, Spool
from tests.client.service import IMPATIENT, QUICK, Service, Slow
from tests.support import free_port, wait_until

EMITTER = """
import os, sys
from refill import Policy, Recording, Refill
first, count, durable = int(sys.argv[1]), int(sys.argv[2]), sys.argv[4] == "durable"
client = Refill(account_id=os.environ["ACCOUNT"], spool=sys.argv[3], recording=Recording(durable=durable, interval=0.05),
                policy=Policy(timeout=1, first_wait=0.02, longest_wait=0.2))
for number in range(first, first + count):
    client.usage("tool_call", id=f"e-{number:05}", metadata={"n": number})
    print("emitted", number)
if sys.argv[5] == "close":
    client.close(timeout=30)
else:
    print("waiting")
    import time; time.sleep(600)
"""


def ids(count: int, first: int = 0) -> list[str]:
    return [f"e-{number:05}" for number in range(first, first + count)]


def test_usage_is_booked_in_batches(service: Service, account: str) -> None:
    with service.client(account, recording=Recording(size=100, interval=0.05)) as client:
        for event_id in ids(50):
            client.usage("tool_call", quantity=1, id=event_id, agent="scout")
        client.flush()
        assert client.waiting() == 0
    assert sorted(service.booked(account)) == ids(50)


def test_close_sends_what_was_not_sent_yet(service: Service, account: str) -> None:
    with service.client(account, recording=Recording(interval=60)) as client:
        client.usage("tool_call", id="last")
    assert service.booked(account) == ["last"]


def test_the_end_of_the_interpreter_sends_what_was_not_sent_yet(
    service: Service, account: str, tmp_path: Path
) -> None:
    code = "import os; from refill import Refill; Refill(account_id=os.environ['ACCOUNT']).usage('tool_call', id='exit')"
    with service.program(code, account, log=tmp_path / "log") as process:
        assert process.wait(30) == 0, (tmp_path / "log").read_text()
    assert service.booked(account) == ["exit"]


def test_rejected_usage_is_reported_and_the_rest_is_booked(service: Service, account: str) -> None:
    rejected: list[tuple[str, str]] = []
    recording = Recording(on_rejected=lambda event, code: rejected.append((event["id"], code)))
    with service.client(account, recording=recording) as client:
        client.usage("tool_call", id="good")
        client.usage("tool_call", id="bad", metadata={"text": "x" * 9000})
        client.usage("levitation", id="parked")
        client.usage("tool_call", id="other", account_id="nobody")
        client.flush()
    assert rejected == [("bad", "invalid_metadata"), ("other", "unknown_account")]
    assert service.booked(account) == ["good"]


def test_killed_between_and_in_batches_loses_and_doubles_nothing(
    service: Service, account: str, tmp_path: Path
) -> None:
    recording = Recording(size=20, interval=0.01)
    with service.client(account, spool=tmp_path, recording=recording, policy=QUICK) as client:
        stop = threading.Event()
        emitted: list[str] = []

        def emit() -> None:
            while not stop.is_set():
                emitted.append(client.usage("test", amount="0.001", id=f"e-{len(emitted):05}"))
                time.sleep(0.0005)

        emitter = threading.Thread(target=emit)
        emitter.start()
        for _ in range(3):
            before = len(service.booked(account))
            wait_until(lambda: len(service.booked(account)) > before, 20, "batches to be booked")  # noqa: B023
            service.kill()
            wait_until(lambda: client._recorder._spool.size().events > 40, 20, "events to wait")
            service.start()
        stop.set()
        emitter.join()
        client.flush(60)
    assert sorted(service.booked(account)) == emitted
    assert service.violations() == []


def test_the_spool_is_drained_in_order(service: Service, account: str, tmp_path: Path) -> None:
    service.kill()
    with service.client(account, spool=tmp_path, recording=Recording(interval=0.01)) as client:
        for number, event_id in enumerate(ids(2500)):
            client.usage("test", amount="0.001", id=event_id)
            if number == 1200:
                wait_until(lambda: client._recorder._spool.size().events > 1000, 10, "the spool to be used")
        service.start()
        client.flush(60)
    # A call is booked as one: its events share a transaction, calls are in order.
    assert service.booked(account) == ids(2500)


def test_new_usage_does_not_overtake_what_waits(service: Service, account: str, tmp_path: Path) -> None:
    service.kill()
    with service.client(account, spool=tmp_path, recording=Recording(interval=60)) as client:
        client.usage("tool_call", id="a")
        with pytest.raises(Unavailable):
            client.flush(0.2)
        client.usage("tool_call", id="b")
        service.start()
        client.flush()
    assert service.booked(account) == ["a", "b"]


def test_an_answer_that_was_lost_doubles_nothing(service: Service, account: str, tmp_path: Path) -> None:
    slow = Slow(service.stack.port)
    with service.client(account, url=slow.url, spool=tmp_path, policy=IMPATIENT) as client:
        slow.lose = 2
        for event_id in ids(300):
            client.usage("test", amount="0.01", id=event_id)
        client.flush()
    assert slow.lost == 2
    slow.close()
    assert service.booked(account) == ids(300)


def test_kill_9_in_durable_mode_loses_nothing_that_was_taken(
    service: Service, account: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    service.kill()
    arguments = ("0", "100000", str(tmp_path / "spool"), "durable", "stay")
    with service.program(EMITTER, account, *arguments, log=log) as process:
        wait_until(lambda: log.exists() and log.read_text().count("\n") > 300, 20, "300 events")
        os.kill(process.pid, signal.SIGKILL)
    taken = int(re.findall(r"^emitted (\d+)\n", log.read_text(), re.MULTILINE)[-1]) + 1
    service.start()
    with service.client(account, spool=tmp_path / "spool") as client:
        client.flush()
    booked = service.booked(account)
    assert booked[:taken] == ids(taken)
    assert len(booked) - taken in (0, 1), "the event after the last line may have been taken as well"


def test_kill_9_while_the_service_is_away_keeps_what_is_in_the_spool(
    service: Service, account: str, tmp_path: Path
) -> None:
    log, directory = tmp_path / "log", tmp_path / "spool"
    service.kill()
    with service.program(EMITTER, account, "0", "100", str(directory), "batched", "stay", log=log) as process:
        wait_until(lambda: log.exists() and "waiting" in log.read_text(), 20, "100 events")
        wait_until(lambda: Spool(directory, 1, 1).size().events == 100, 10, "the interval to pass")
        os.kill(process.pid, signal.SIGKILL)
    service.start()
    with service.client(account, spool=directory) as client:
        client.flush()
    assert service.booked(account) == ids(100)


def test_two_processes_share_a_spool(service: Service, account: str, tmp_path: Path) -> None:
    log, directory = tmp_path / "log", str(tmp_path / "spool")
    service.kill()
    processes = [
        service.program(EMITTER, account, str(n * 1000), "1000", directory, mode, "close", log=log)
        for n, mode in enumerate(("durable", "batched"))
    ]
    wait_until(lambda: log.exists() and log.read_text().count("emitted") == 2000, 30, "2,000 events")
    service.start()
    for process in processes:
        assert process.wait(40) == 0, log.read_text()[-2000:]
    booked = service.booked(account)
    assert sorted(booked) == ids(2000)
    for n in range(2):
        own = [event_id for event_id in booked if event_id in set(ids(1000, n * 1000))]
        assert own == sorted(own), "each process's events are in its order"


def test_one_process_drains_at_a_time(tmp_path: Path) -> None:
    one, other = Spool(tmp_path, 10, 1000), Spool(tmp_path, 10, 1000)
    with one.draining() as mine, other.draining() as its:
        assert (mine, its) == (True, False)
    with other.draining() as its:
        assert its


@pytest.mark.parametrize("directory", [None, "spool"])
def test_a_full_spool_refuses_and_drops_nothing(
    service: Service, account: str, tmp_path: Path, directory: str | None
) -> None:
    place = tmp_path / directory if directory else None
    service.kill()
    with service.client(account, spool=place, spool_events=30) as client:
        for event_id in ids(30):
            client.usage("tool_call", id=event_id)
        with pytest.raises(SpoolFull):
            client.usage("tool_call", id="too much")
        service.start()
        client.flush()
        client.usage("tool_call", id="room again")
    assert service.booked(account) == [*ids(30), "room again"]


def test_a_spool_is_bounded_by_bytes_too(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1000, 100)
    spool.append([Entry(USAGE, "x" * 60)])
    with pytest.raises(SpoolFull):
        spool.append([Entry(USAGE, "x" * 60)])
    assert spool.size()[:2] == (1, 60)


def test_a_caller_that_chose_to_block_waits_for_room(service: Service, account: str) -> None:
    service.kill()
    with service.client(account, spool_events=5, recording=Recording(block=True)) as client:
        emitter = threading.Thread(target=lambda: [client.usage("tool_call", id=one) for one in ids(20)])
        emitter.start()
        wait_until(lambda: client.waiting() == 5, 10, "the spool to be full")
        assert emitter.is_alive()
        service.start()
        emitter.join(30)
        client.flush()
    assert service.booked(account) == ids(20)


def test_flush_raises_while_the_service_is_away(service: Service, account: str, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    client = service.client(account, url=url, spool=tmp_path)
    client.usage("tool_call", id="kept")
    with pytest.raises(Unavailable, match="1 events still wait"):
        client.flush(0.3)
    client.close(0.1)
    with service.client(account, spool=tmp_path) as later:
        later.flush()
    assert service.booked(account) == ["kept"]


def test_a_revoked_key_keeps_the_usage(service: Service, account: str, tmp_path: Path) -> None:
    right, service.key = service.key, "rk_of_nobody"
    client = service.client(account, spool=tmp_path)
    client.usage("tool_call", id="kept")
    with pytest.raises(Unavailable):
        client.flush(0.5)
    client.close(0.1)
    service.key = right
    with service.client(account, spool=tmp_path) as later:
        later.flush()
    assert service.booked(account) == ["kept"]


def test_a_forked_process_records_its_own_and_not_its_parents(service: Service, account: str) -> None:
    with service.client(account, recording=Recording(interval=0.2)) as client:
        client.usage("tool_call", id="parent")
        client.use("message", id="parent-spend")
        connections = client._transport._http
        child = os.fork()
        if child == 0:
            if client._transport._http is connections:
                os._exit(3)
            client.usage("tool_call", id="child")
            client.use("message", id="child-spend")
            client.flush()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        client.flush()
    assert sorted(service.booked(account)) == ["child", "child-spend", "parent", "parent-spend"]


def test_durable_usage_needs_a_directory(service: Service) -> None:
    with pytest.raises(ValueError, match="spool directory"):
        service.client("x", recording=Recording(durable=True))
