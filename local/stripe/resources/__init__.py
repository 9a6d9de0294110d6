"""The calls that the local Stripe answers, one module per kind of object. `routes.py` registers them all."""
