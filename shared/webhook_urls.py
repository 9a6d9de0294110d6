"""Where webhooks may go. A registered URL is looked at here; what its name resolves to, when it is sent to."""

from __future__ import annotations

import contextlib
import ipaddress
from typing import Final
from urllib.parse import SplitResult, urlsplit

from shared.errors import Refused
from shared.settings import Settings

LENGTH_MAX: Final = 2000
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


def check(settings: Settings, url: str) -> str:
    """The URL, if a webhook may go there; Refused invalid_value.

    HTTPS, outside production also HTTP to this machine; no user, no fragment; in production no address within.
    """
    complaint = _complaint(url, production=settings.environment == "production")
    if complaint:
        raise Refused(f"The URL of the endpoint {complaint}.", code="invalid_value")
    return url


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet, also behind the forms that carry an IPv4 address inside."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo and ip.teredo[1])
        if ip in NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast


def _complaint(url: str, *, production: bool) -> str | None:
    if not (
        url.isascii() and url.isprintable() and " " not in url and "\\" not in url and len(url) <= LENGTH_MAX
    ):
        return f"has up to {LENGTH_MAX} printable ASCII characters; write other names in Punycode"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is none"
    if not host or parts.scheme not in ("http", "https"):
        return "starts with https:// and names a host"
    if "@" in parts.netloc or parts.fragment:
        return "carries no user and no fragment"
    return _place_complaint(parts, host, production=production)


def _place_complaint(parts: SplitResult, host: str, *, production: bool) -> str | None:
    if parts.scheme == "http" and (production or host not in LOOPBACK):
        return "starts with https://"
    with contextlib.suppress(ValueError):
        if production and not is_public(host):
            return "names no address within a network"
    return "names no address within a network" if production and host == "localhost" else None
