"""`python -m local.supabase`: the local Supabase Auth as a process. One line when ready; ends cleanly on SIGTERM."""

from __future__ import annotations

import argparse
import signal
import threading
from pathlib import Path

from local.supabase.app import LocalSupabase


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m local.supabase", description="A local Supabase Auth.")
    parser.add_argument("--port", type=int, default=54321)
    parser.add_argument("--site-url", default="http://localhost:8000", help="where people are sent back to")
    parser.add_argument("--publishable-key")
    parser.add_argument("--secret-key")
    parser.add_argument(
        "--state", type=Path, help="JSON file that keeps everything; without, nothing is kept"
    )
    parser.add_argument("--token-seconds", type=int, default=3600, help="how long an access token is valid")
    options = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    server = LocalSupabase.start(
        options.port,
        site_url=options.site_url,
        publishable_key=options.publishable_key,
        secret_key=options.secret_key,
        state=options.state,
        token_seconds=options.token_seconds,
    )
    print(f"Local Supabase Auth on {server.url}", flush=True)
    stop.wait()
    server.close()


if __name__ == "__main__":
    main()
