"""A stateful local Stripe: the API, Checkout, signed webhooks, and a control API for faults. See `app.py`, `control.py`."""
