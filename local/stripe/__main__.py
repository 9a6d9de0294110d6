"""`python -m local.stripe`: the local Stripe as a process. One line when ready; ends cleanly on SIGTERM."""

from __future__ import annotations

import argparse
import signal
import threading

from local.stripe import control
from local.stripe.app import LocalStripe


def main() -> None:
    """Serve until told to stop."""
    options = _options()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    server = LocalStripe.start(
        port=options.port,
        host=options.host,
        public_url=options.public_url or f"http://localhost:{options.port}",
        webhook_url=options.webhook_url,
        webhook_secret=options.webhook_secret,
        state=options.state,
        merchant=options.merchant,
        portal=not options.portal_not_saved,
        retry_delays=tuple(float(delay) for delay in options.retry_delays.split(",")),
    )
    print(f"Local Stripe {server.engine.spec.api_version} on {server.url}", flush=True)
    stop.wait()
    server.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m local.stripe",
        description="A stateful local Stripe.",
        epilog=control.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=12111)
    parser.add_argument("--public-url", help="how browsers reach this server (default http://localhost:PORT)")
    parser.add_argument("--webhook-url", help="where events are delivered")
    parser.add_argument("--webhook-secret", default="whsec_local")
    parser.add_argument("--state", default=":memory:", help="SQLite file that keeps everything, or :memory:")
    parser.add_argument("--merchant", default="Local test merchant", help="name on the Checkout page")
    parser.add_argument(
        "--portal-not-saved",
        action="store_true",
        help="refuse portal sessions, as Stripe does until the portal's settings are saved",
    )
    parser.add_argument(
        "--retry-delays", default="1,2,5,10,30,60", help="seconds before each redelivery; the last repeats"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
