"""A stateful local Stripe: API, Checkout, signed webhooks, faults on demand. See `app.py`, `control.py`."""
