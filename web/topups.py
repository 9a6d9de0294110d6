"""What operators do to automatic charges."""

from __future__ import annotations

from shared import queue
from shared.errors import Refused
from shared.models import Topup
from shared.stripe_client import StripeGateway, StripeRefused
from web.services import Services


def cancel(services: Services, topup_id: str, actor: str) -> str:
    """Cancels a top-up that has not been charged, first at Stripe; its state afterwards.

    Refused not_found, state_conflict (finished, or Stripe does not cancel it any more).
    """
    topup = services.ledger.find_topup(topup_id)
    if topup is None:
        raise Refused("There is no such top-up.", code="not_found", status=404)
    if topup["finished_at"] or topup["state"] == "succeeded":
        raise Refused(f"This top-up is finished: {topup['state']}.", code="state_conflict", status=409)
    _cancel_at_stripe(services.gateway, topup)
    finished = services.ledger.finish_topup(topup_id, "canceled", {"reason": f"canceled by {actor}"})
    services.ledger.note_operation(actor, "topup.canceled", topup_id)
    return str(finished["state"])


def resume(services: Services, account_id: str, actor: str) -> dict[str, object]:
    """Lifts the pause of an account's auto top-up; its state afterwards."""
    state = services.ledger.resume_auto_topup(account_id, actor)
    if state["topup_due"]:
        services.queue.hint(queue.CHECK_THRESHOLD, account_id)
    return state


def _cancel_at_stripe(gateway: StripeGateway, topup: Topup) -> None:
    """A PaymentIntent that is canceled there can never be charged, whoever else is at work on it."""
    intent_id = topup["stripe_payment_intent_id"]
    if intent_id is None:
        return
    try:
        gateway.cancel_intent(intent_id, topup_id=topup["id"])
    except StripeRefused as refusal:
        if gateway.retrieve_intent(intent_id)["status"] != "canceled":
            raise Refused(
                f"Stripe does not cancel it any more: {refusal.detail}", code="state_conflict", status=409
            ) from refusal
