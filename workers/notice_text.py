"""What a notice says, from the one template of its topic: notices/<topic>.txt, its first line the subject.

A line `Label: https://…` alone is a button in mail and a link in Slack. Only links of ours become one: those below
BASE_URL, and those that the payload carries in a field …_url.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any, Final

import jinja2

from shared import credits as credit_units
from shared import invite_links, money, pay_links
from shared.notice_models import Notice
from shared.settings import Settings

TEMPLATES: Final = Path(__file__).parent / "notices"
ACTION_REQUIRED: Final = ".action_required"
INVITED: Final = "member.invited"
OPEN: Final = "Open Refill"
"""What a link without a label of its own is called."""

_LINK = re.compile(r"(?:(?P<label>[^:\n]{1,80}): )?(?P<url>https?://\S+)")


@dataclasses.dataclass(frozen=True)
class Link:
    """A line that leads somewhere."""

    label: str
    url: str


@dataclasses.dataclass(frozen=True)
class Text:
    """Subject, the whole body as plain text, and the same in blocks: paragraphs and links."""

    subject: str
    body: str
    blocks: tuple[str | Link, ...]


def exists(topic: str) -> bool:
    """Whether the topic has a template; a topic that is no plain name has none."""
    return re.fullmatch(r"[a-z_]+\.[a-z_]+", topic) is not None and (TEMPLATES / f"{topic}.txt").is_file()


def render(settings: Settings, notice: Notice) -> Text:
    """The text of a claimed notice. Raises jinja2.TemplateError for a template that its payload does not fit."""
    facts = context(settings, notice)
    text = _environment().get_template(f"{notice['topic']}.txt").render(facts)
    subject, _, body = text.partition("\n")
    ours = (
        settings.base_url,
        *(str(value) for name, value in facts.items() if name.endswith("_url") and value),
    )
    paragraphs = re.split(r"\n\s*\n", body.strip())
    blocks = tuple(block for paragraph in paragraphs for block in _blocks(paragraph, ours))
    return Text(subject.strip(), body.strip() + "\n", blocks)


def context(settings: Settings, notice: Notice) -> dict[str, Any]:
    """What a template may use: the payload, the account's name, where Refill is, and a link to pay or to join.

    Texts are one line each, so that none of them can begin a line of its own.
    """
    payload = notice["payload"] or {}
    facts = {name: _one_line(value) for name, value in payload.items()}
    if notice["topic"].endswith(ACTION_REQUIRED):
        facts["pay_url"] = pay_links.pay_url(settings, payload["payment_id"])
    if notice["topic"] == INVITED:
        invited = str(notice["account_id"]), payload["invitation_id"]
        facts["invite_url"] = invite_links.invite_url(settings, *invited)
    return facts | {"account_name": _one_line(notice["account_name"] or ""), "base_url": settings.base_url}


def _blocks(paragraph: str, ours: tuple[str, ...]) -> list[str | Link]:
    """A paragraph, with the lines in it that are links apart."""
    found: list[str | Link] = []
    for line in (line.strip() for line in paragraph.splitlines() if line.strip()):
        link = _LINK.fullmatch(line)
        if link and _is_ours(link["url"], ours):
            found.append(Link(link["label"] or OPEN, link["url"]))
        elif found and isinstance(found[-1], str):
            found[-1] += f"\n{line}"
        else:
            found.append(line)
    return found


def _is_ours(url: str, ours: tuple[str, ...]) -> bool:
    return url in ours or url.startswith(f"{ours[0]}/")


def _one_line(value: Any) -> Any:
    return " ".join(value.split()) if isinstance(value, str) else value


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701  # plain text; the layout of mail escapes
    )
    environment.filters["credits"] = credit_units.to_text
    environment.filters["money"] = money.to_text
    return environment
