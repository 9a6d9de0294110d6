"""What web and workers share: settings, errors, the database seam, the ledger, Stripe, the queue.

Imports neither of them.
"""
