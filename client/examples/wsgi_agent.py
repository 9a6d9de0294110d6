"""An agent behind Flask: refuses without credits, charges each success.

flask --app client/examples/wsgi_agent run
"""

from __future__ import annotations

import functools

from flask import Flask, Response, jsonify, request

from refill import Insufficient, Refill, Refused, Unavailable

app = Flask(__name__)


@functools.cache
def refill() -> Refill:
    """One client a process; the address and the key come from the environment."""
    return Refill()


def run_agent(prompt: str) -> str:
    """Your agent; what it raises is not charged."""
    if not prompt:
        raise ValueError("nothing was asked")
    return f"You asked: {prompt}"


@app.post("/api/pydantic-agent")
def pydantic_agent() -> Response:
    """Holds the price, runs the agent, charges when it has answered."""
    # Your platform knows whose request this is; here headers say it.
    account, member = request.headers["X-Account"], request.headers.get("X-Member")
    hold = refill().hold("message", account_id=account, agent="pydantic-agent", member_id=member)
    with hold:
        answer = run_agent(request.get_json()["prompt"])
    return jsonify(answer=answer, hold=hold.id, credits=str(hold.state.settled) if hold.state else None)


@app.errorhandler(Insufficient)
def insufficient(error: Insufficient) -> tuple[Response, int]:
    """What the user interface needs: a sentence, what is missing, where to buy."""
    return jsonify(error.facts | {"message": error.message}), 402


@app.errorhandler(Refused)
def refused(error: Refused) -> tuple[Response, int]:
    """An account that is not known, or a key that may not: nothing was charged."""
    return jsonify(code=error.code, message=error.detail), error.status


@app.errorhandler(Unavailable)
def unavailable(_error: Unavailable) -> tuple[Response, int]:
    """Nothing was charged."""
    return jsonify(code="unavailable", message="Please try again in a moment."), 503


@app.errorhandler(ValueError)
def not_understood(error: ValueError) -> tuple[Response, int]:
    """The agent failed: the hold was released."""
    return jsonify(code="invalid_request", message=str(error)), 422
