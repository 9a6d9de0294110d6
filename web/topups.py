"""What operators do to automatic charges."""

from __future__ import annotations

from shared import queue
from shared.errors import Refused
from shared.models import Topup
from shared.stripe_client import StripeGateway, StripeRefused
from web.services import Services


def cancel(services: Services, topup_id: str, actor: str) -> str:
    """Cancels a top-up that has not been charged, first at Stripe; its state afterwards.

    Refused not_found, state_conflict (finished, or Stripe does not cancel it any more; the sentence says what is possible).
    """
    topup = services.ledger.find_topup(topup_id)
    if topup is None:
        raise Refused("There is no such top-up.", code="not_found", status=404)
    if topup["finished_at"] or topup["state"] == "succeeded":
        raise Refused(f"This top-up is finished: {topup['state']}.", code="state_conflict", status=409)
    facts = {"reason": f"canceled by {actor}", "intent_status": _cancel_at_stripe(services.gateway, topup)}
    finished = services.ledger.finish_topup(topup_id, "canceled", facts)
    services.ledger.note_operation(actor, "topup.canceled", topup_id)
    return str(finished["state"])


def resume(services: Services, account_id: str, actor: str) -> dict[str, object]:
    """Lifts the pause of an account's auto top-up; its state afterwards."""
    state = services.ledger.resume_auto_topup(account_id, actor)
    if state["topup_due"]:
        services.queue.hint(queue.CHECK_THRESHOLD, account_id)
    return state


_NOT_POSSIBLE = {
    "processing": "The bank is processing this charge, and Stripe cannot cancel it: a bank debit takes days. It ends by"
    " itself. If it succeeds, its credits are granted, and you can refund it in the Stripe Dashboard.",
    "succeeded": "This charge has succeeded; its credits are granted within seconds. Refund it in the Stripe Dashboard.",
}


def _cancel_at_stripe(gateway: StripeGateway, topup: Topup) -> str | None:
    """Cancels the PaymentIntent, which can never be charged then, whoever else is at work on it. Its status: canceled,
    missing (Stripe knows none), or None when there is none yet. Refused state_conflict says what is possible instead.
    """
    intent_id = topup["stripe_payment_intent_id"]
    if intent_id is None:
        return None
    try:
        return str(gateway.cancel_intent(intent_id)["status"])
    except StripeRefused as refusal:
        try:
            status = str(gateway.retrieve_intent(intent_id)["status"])
        except StripeRefused as unknown:
            if unknown.stripe_code == "resource_missing":
                return "missing"
            raise
        if status == "canceled":
            return status
        sentence = _NOT_POSSIBLE.get(status, f"Stripe does not cancel it: {refusal.detail}")
        raise Refused(sentence, code="state_conflict", status=409) from refusal
