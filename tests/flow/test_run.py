"""`make run` shows data that moves, goes on after a crash, and leaves no process behind."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.support import Proc, free_port, wait_until

pytestmark = pytest.mark.xdist_group("flow-crashes")
SPENT = r"spent +[\d.]+ credits?.*balance [\d.]+"


def processes_of(directory: Path) -> list[psutil.Process]:
    """What still runs with its data or settings in the directory."""
    found = []
    for process in psutil.process_iter():
        try:
            places = " ".join(process.cmdline() + list(process.environ().values()))
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        if str(directory) in places:
            found.append(process)
    return found


def start(directory: Path, port: int, log: Path) -> Proc:
    env = {"PORT": str(port), "MARK": str(directory)}
    return Proc("local.run", f"--directory={directory}", env=env, log=log)


def test_run_moves_survives_a_crash_and_stops_cleanly(tmp_path: Path) -> None:
    directory, port = tmp_path / "state", free_port()
    with start(directory, port, tmp_path / "first.log") as first:
        began = time.monotonic()
        first.wait_for_line(SPENT, 60)
        assert time.monotonic() - began < 60
        assert answer_of_curl(first.output)["status"] == "active"
        second = start(directory, free_port(), tmp_path / "second.log").start()
        assert second.wait(30) == 1
        assert "already runs" in second.output
        first.signal(signal.SIGKILL)
        first.process.wait()
    with start(directory, port, tmp_path / "third.log") as third:
        third.wait_for_line(SPENT, 60)
        assert answer_of_curl(third.output)["status"] == "active"
        third.signal(signal.SIGINT)
        stopping = time.monotonic()
        assert third.wait(30) == 0
        assert time.monotonic() - stopping < 12
    assert third.output.endswith("Stopped.\n")
    wait_until(lambda: not processes_of(directory), 5, "no process to be left")


def answer_of_curl(output: str) -> dict[str, str]:
    """Paste the curl of the output into a shell."""
    command = re.search(r"^  curl .*?\n.*$", output, re.MULTILINE)
    assert command is not None
    answer = subprocess.run(["sh", "-c", command[0]], capture_output=True, text=True, check=True)
    parsed: dict[str, str] = json.loads(answer.stdout)
    return parsed


def test_port_taken_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with start(tmp_path / "state", port, tmp_path / "run.log") as run:
            assert run.wait(30) == 1
    assert f"port {port} is taken" in run.output
    assert f"PORT={port + 1} make run" in run.output
    assert "Traceback" not in run.output
