"""The rows that the SQL functions answer, as Python sees them.

Credits are micro-credits, money is minor units, times are ISO 8601.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from shared.topup_models import OpenTopup as OpenTopup  # noqa: PLC0414 - rows like those below
from shared.topup_models import Topup as Topup  # noqa: PLC0414 - rows like those below
from shared.topup_models import TopupState as TopupState  # noqa: PLC0414 - rows like those below
from shared.topup_models import Verdict as Verdict  # noqa: PLC0414 - rows like those below


class Account(TypedDict):
    """open_account, get_account."""

    account_id: str
    name: str
    email: str | None
    status: str
    created: bool
    created_at: str


class ApiKey(TypedDict):
    """find_api_key, create_api_key, list_api_keys."""

    id: str
    name: str
    prefix: str
    scopes: list[str]
    account_id: str | None
    revoked_at: str | None


class Spend(TypedDict):
    """spend_credits. `topup_due`: the debit brought the account to its threshold, enqueue a check."""

    transaction_id: int
    credits: int
    available: int
    status: str
    replayed: bool
    topup_due: bool


class UsageAccount(TypedDict):
    """One account that a batch touched."""

    account_id: str
    available: int
    status: str


class Rejected(TypedDict):
    """One event of a batch that was not booked. `index` is its place in the batch; parked: it is kept, and booked when it
    has a price.
    """

    index: int
    id: str | None
    code: str
    parked: bool


class UsageResult(TypedDict):
    """record_usage. `topup_due` lists the accounts to check."""

    accepted: int
    duplicates: int
    rejected: list[Rejected]
    accounts: list[UsageAccount]
    topup_due: list[str]


class Refusal(TypedDict):
    """What a call that succeeded could not do besides; shared.errors.from_sqlstate makes a Refused of it."""

    sqlstate: str
    message: str
    detail: dict[str, Any] | None


class Hold(TypedDict):
    """place_hold, settle_hold, extend_hold, release_hold, get_hold.

    settled: charged through it; spent: with its children's; reserved: what open children hold; remaining: what may still
    be spent or reserved from it. available, status: the account's. replayed, topup_due: after placing and settling.
    refusal: after a settlement that leaves the hold open, what could not be reserved.
    """

    id: str
    account_id: str
    parent_id: str | None
    state: Literal["open", "settled", "released", "expired"]
    amount: int
    settled: int
    spent: int
    reserved: int
    remaining: int
    action: str | None
    agent: str | None
    department_id: str | None
    member_id: str | None
    run_id: str | None
    expires_at: str
    created_at: str
    closed_at: str | None
    available: int
    status: str
    replayed: NotRequired[bool]
    topup_due: NotRequired[bool]
    refusal: NotRequired[Refusal | None]


class Limit(TypedDict):
    """set_limit, list_limits. credits is None after a limit was removed."""

    account_id: str
    scope: Literal["department", "member", "agent"]
    scope_id: str
    window: Literal["day", "week", "month"]
    credits: int | None
    hard: bool | None
    used: int | None
    held: int | None
    left: int | None
    window_started_at: str | None
    resets_at: str | None


class RateCard(TypedDict):
    """set_action_cost, list_actions. credits: for one of quantity; rates: {dimension: {credits, per}}."""

    action: str
    model: str | None
    account_id: str | None
    credits: int | None
    rates: dict[str, dict[str, int]]
    unit: str | None
    description: str | None
    effective_from: str | None
    effective_until: str | None


class Quote(TypedDict):
    """quote_credits. bounds: every bound with its binding and what it leaves, the tightest first."""

    credits: int
    available: int
    status: str
    sufficient: bool
    binding: str
    bounds: list[dict[str, Any]]


class ChargeLine(TypedDict):
    """One part of what is charged, in minor units."""

    kind: Literal["credits", "fee", "tax", "discount"]
    label: str
    amount: int


class Payment(TypedDict):
    """A payments row. amount: charged; net_amount: of the credits; lines: of amount; parked_facts: Stripe's, when parked.

    discount: what promotion codes took off, once it is paid; amount + discount was ordered.
    """

    id: str
    account_id: str
    purpose: Literal["purchase", "topup"]
    package_id: str | None
    quantity: int
    credits: int
    amount: int
    net_amount: int
    lines: list[ChargeLine]
    allow_promotion_codes: bool
    discount: int
    currency: str
    status: str
    reason: str | None
    stripe_customer_id: str | None
    stripe_checkout_session_id: str | None
    stripe_payment_intent_id: str | None
    checkout_url: str | None
    receipt_url: str | None
    topup_id: str | None
    created_at: str
    paid_at: str | None
    refunded_credits: int
    disputed_credits: int
    forgone_credits: int
    overdue: bool
    action_required: bool
    parked_facts: dict[str, Any] | None
    closed_at: str | None
    closer: str | None
    closing_note: str | None


class Settlement(TypedDict):
    """settle_payment. granted now, already granted, parked for an operator with a reason, or closed by one for good."""

    outcome: Literal["granted", "already", "parked", "closed"]
    reason: str | None
    account_id: NotRequired[str]
    topup_due: bool


class Reversal(TypedDict):
    """reverse_payment. credits: taken back by this call, negative when given back. stale: read Stripe again."""

    outcome: Literal["reversed", "stale"]
    account_id: str
    credits: int
    topup_due: bool


class StripeEvent(TypedDict):
    """claim_stripe_event."""

    id: str
    type: str
    object_id: str | None
    payload: str
    claims: int


class DueWork(TypedDict):
    """due_work: ids that the sweep enqueues."""

    events: list[str]
    accounts: list[str]
    topups: list[str]
    payments: list[str]
    notices: list[int]
    """Deliveries of notices."""
    reconciliations: list[str]


class Violation(TypedDict):
    """check_invariants: one invariant that does not hold, with up to ten ids."""

    invariant: str
    violations: int
    examples: list[Any]


class PaymentMethod(TypedDict):
    """list_payment_methods. brand: of a card, else the kind of payment method."""

    id: str
    brand: str | None
    last4: str | None
    exp_month: int | None
    exp_year: int | None
    default: bool


class CardReading(TypedDict):
    """mirror_cards. stale: somebody else wrote meanwhile, read Stripe again."""

    outcome: Literal["mirrored", "stale"]
    topup_due: bool
