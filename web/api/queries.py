"""Queries and pages that several endpoints share."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from web.endpoints import Call
from web.fields import Answer, Body, Text


class AccountQuery(Body):
    """Names the account; a key that is bound to one may leave it out."""

    account_id: Text | None = None


class PageQuery(AccountQuery):
    """A page of a list, newest first. `cursor` is the `next_cursor` of the page before."""

    limit: Annotated[int, Field(ge=1, le=100)] = 20
    cursor: Text | None = None


class Page(Answer):
    """The frame of a list."""

    next_cursor: str | None


def account_of(call: Call) -> str:
    """The account that a query names, or the key's own."""
    return call.account_id(call.query.account_id)
