"""`/_local/`: the control API over HTTP. `control.py` says what there is."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, request

from local.stripe.control import READING, Control
from local.stripe.errors import StripeError
from local.stripe.store import public


def blueprint(control: Control) -> Blueprint:
    """Routes of the control API."""
    routes = Blueprint("control", __name__, url_prefix="/_local")

    @routes.post("/checkout/<id>/pay")
    def pay(id: str) -> Response:
        return _answer(control.pay_checkout(id, **_body()))

    @routes.post("/checkout/<id>/expire")
    def expire(id: str) -> Response:
        return _answer(control.expire_checkout(id))

    @routes.get("/<name>")
    def look(name: str) -> Any:
        if name not in READING:
            return _problem(404, f"There is no GET /_local/{name}.")
        return _answer(getattr(control, name)(**request.args.to_dict()))

    @routes.post("/<name>")
    def act(name: str) -> Any:
        action = None if name.startswith("_") else getattr(control, name, None)
        if action is None:
            return _problem(404, f"There is no POST /_local/{name}.")
        return _answer(action(**_body()))

    @routes.errorhandler(StripeError)
    def refused(error: StripeError) -> tuple[Response, int]:
        return jsonify(error.body), error.status

    @routes.errorhandler(TypeError)
    @routes.errorhandler(ValueError)
    def misused(error: Exception) -> tuple[Response, int]:
        return _problem(400, str(error))

    return routes


def _body() -> dict[str, Any]:
    body = request.get_json(silent=True) if request.data else {}
    if not isinstance(body, dict):
        raise TypeError("The body must be a JSON object.")
    return body


def _answer(value: Any) -> Response:
    return jsonify(public(value))


def _problem(status: int, message: str) -> tuple[Response, int]:
    return jsonify({"error": {"message": message, "type": "control_error"}}), status
