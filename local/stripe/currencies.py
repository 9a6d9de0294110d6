"""Facts of Stripe about currencies: decimals, the smallest and largest charge, how an amount is written.

Source: docs.stripe.com/currencies ("Zero-decimal currencies", "Three-decimal currencies", "Minimum and maximum charge
amounts"). For a currency without a minimum of its own Stripe converts to the settlement currency and asks for 50 cents;
the rates below are rough ones that this server keeps for that.
"""

from __future__ import annotations

from local.stripe.errors import invalid


def _codes(text: str) -> list[str]:
    return text.split()


ZERO_DECIMAL = frozenset(_codes("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf"))
# Written with two decimals that are always 00 ("Special cases"); UGX stands in the list of zero-decimal currencies as well.
WHOLE = frozenset(("isk", "ugx"))
THREE_DECIMAL = frozenset(_codes("bhd jod kwd omr tnd"))
_TWO_DECIMAL = frozenset(
    _codes(
        "aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd btn bwp byn bzd cad cdf chf cny "
        "cop crc cve czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd hnl htg huf idr ils inr "
        "isk jmd kes kgs khr kyd kzt lak lbp lkr lrd lsl mad mdl mkd mmk mnt mop mur mvr mwk mxn myr mzn nad "
        "ngn nio nok npr nzd pab pen pgk php pkr pln qar ron rsd rub sar sbd scr sek sgd shp sle sos srd std "
        "szl thb tjs top try ttd twd tzs uah ugx usd uyu uzs wst xcd xcg yer zar zmw"
    )
)
SUPPORTED = ZERO_DECIMAL | THREE_DECIMAL | _TWO_DECIMAL

MINIMUM = {
    "usd": 50,
    "aed": 200,
    "aud": 50,
    "brl": 50,
    "cad": 50,
    "chf": 50,
    "czk": 1500,
    "dkk": 250,
    "eur": 50,
    "gbp": 30,
    "hkd": 400,
    "huf": 17500,
    "inr": 50,
    "jpy": 50,
    "mxn": 1000,
    "myr": 200,
    "nok": 300,
    "nzd": 50,
    "pln": 200,
    "ron": 200,
    "sek": 300,
    "sgd": 50,
    "thb": 1000,
}
_DOLLARS = {
    "bhd": 2.65, "jod": 1.41, "kwd": 3.25, "omr": 2.6, "tnd": 0.32, "krw": 0.00072, "clp": 0.00105,
    "vnd": 0.00004, "isk": 0.0072, "try": 0.03, "php": 0.017, "idr": 0.00006, "zar": 0.055, "twd": 0.031,
    "ugx": 0.00028,
}  # fmt: skip
_CENTS = 0.5
_DIGITS, _MORE_DIGITS = 99_999_999, 999_999_999_999
_SYMBOLS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥", "krw": "₩", "inr": "₹", "brl": "R$", "cad": "CA$",
            "aud": "A$", "nzd": "NZ$", "hkd": "HK$", "mxn": "MX$"}  # fmt: skip
# Stripe takes twelve digits for these (docs.stripe.com/currencies, "maximum charge amounts").
_LARGE = frozenset(("cop", "huf", "idr", "inr", "jpy", "lbp"))


def decimals(currency: str) -> int:
    """How many digits of an amount are behind the point."""
    return 0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2


def written(amount: int, currency: str) -> str:
    """An amount as Stripe writes it in an error: $0.50, ¥50, CZK15.00."""
    places = decimals(currency)
    return f"{_SYMBOLS.get(currency, currency.upper())}{amount / 10**places:,.{places}f}"


def known(currency: str, param: str = "currency") -> str:
    """A currency in lower case, or Stripe's refusal of one that it does not support."""
    lower = currency.lower()
    if lower not in SUPPORTED:
        listed = ", ".join(["usd", *sorted(SUPPORTED - {"usd"})])
        raise invalid(
            f"Invalid currency: {lower}. Stripe currently supports these currencies: {listed}", param
        )
    return lower


def check_last_digit(amount: int, currency: str, param: str = "amount") -> None:
    """Three-decimal amounts end with 0: card networks have no place for the last digit. ISK and UGX have no fractions."""
    if currency in THREE_DECIMAL and amount % 10:
        text = (
            f"Invalid amount: {amount}. Amounts in {currency} are in thousandths and must be divisible by 10, "
            "because payments partners support only two decimals."
        )
        raise invalid(text, param)
    if currency in WHOLE and amount % 100:
        raise invalid(f"Invalid amount: {amount}. Amounts in {currency} must be divisible by 100.", param)


def too_small(amount: int, currency: str) -> str | None:
    """What Stripe says about a charge below the minimum; None when it is large enough."""
    if currency in MINIMUM:
        least = MINIMUM[currency]
        return None if amount >= least else f"Amount must be at least {written(least, currency)} {currency}"
    dollars = (
        amount / 10 ** decimals(currency) * _DOLLARS.get(currency, 0.01 if currency in ZERO_DECIMAL else 1)
    )
    if dollars >= _CENTS:
        return None
    said = f"{written(amount, currency)} converts to approximately ${dollars:.2f}."
    return f"Amount must convert to at least 50 cents. {said}"


def check_amount(amount: int, currency: str) -> None:
    """A charge's amount: at least one and the currency's minimum, at most Stripe's digits, a last digit of 0 where due."""
    known(currency)
    if amount < 1:
        message = "This value must be greater than or equal to 1."
        raise invalid(message, "amount", "parameter_invalid_integer")
    most = _MORE_DIGITS if currency in _LARGE else _DIGITS
    if amount > most:
        text = f"Amount must be no more than {written(most, currency)} {currency}"
        raise invalid(text, "amount", "amount_too_large")
    check_last_digit(amount, currency)
    text_small = too_small(amount, currency)
    if text_small:
        raise invalid(text_small, "amount", "amount_too_small")
