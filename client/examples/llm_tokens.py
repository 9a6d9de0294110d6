"""Charges LLM calls by the tokens that the response counts. Needs a rate card of the action `llm` (see the end).

The pools are exclusive: providers count cached tokens within the input tokens, so they are subtracted, or they would be
charged twice.
"""

from __future__ import annotations

import os
from typing import Any

from refill import Item, Refill, metered

MODEL = "fake-1"
client = Refill(account_id=os.environ.get("ACCOUNT", "demo"))


def fake_llm(prompt: str) -> dict[str, Any]:
    """Answers as the provider of your model would."""
    words = len(prompt.split())
    return {
        "model": MODEL,
        "text": prompt.upper(),
        "usage": {"prompt_tokens": 1000 + words, "cached_tokens": 1000, "completion_tokens": words},
    }


def tokens(response: dict[str, Any]) -> Item:
    """What the response cost, as one item of usage."""
    usage = response["usage"]
    return {
        "action": "llm",
        "dimensions": {
            "model": response["model"],
            "input": usage["prompt_tokens"] - usage["cached_tokens"],
            "cached_input": usage["cached_tokens"],
            "output": usage["completion_tokens"],
        },
    }


# Held before the call: the most that one call may cost. Charged after it: what it did cost.
@metered("llm", dimensions={"model": MODEL, "input": 4000, "output": 1000}, client=client, cost=tokens)
def ask(prompt: str) -> dict[str, Any]:
    """One call of the model."""
    return fake_llm(prompt)


if __name__ == "__main__":
    # PUT /api/billing/actions {"action": "llm", "model": "fake-1", "rates": {"input": {"credits": "3", "per": 1000},
    #   "cached_input": {"credits": "0.3", "per": 1000}, "output": {"credits": "15", "per": 1000}}}
    print(ask("why is the sea salty"))
    client.close()
