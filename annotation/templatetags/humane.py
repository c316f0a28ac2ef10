"""Numbers and words as a person reads them."""

import math

from django import template

from annotation.models import Estimator

register = template.Library()

MINUS = "\N{MINUS SIGN}"
NONE = "\N{EN DASH}"


@register.filter
def score(value: float | None) -> str:
    """Write a score with two decimals and a true minus; a dash where there is none.

    Parameters
    ----------
    value : float or None

    Returns
    -------
    str

    Examples
    --------
    >>> score(0.4567), score(-0.001), score(None)
    ('0.46', '0.00', '–')
    """
    if value is None or math.isnan(value):
        return NONE
    text = f"{value:.2f}"
    return "0.00" if text == "-0.00" else text.replace("-", MINUS)


@register.filter
def percent(value: float | None) -> str:
    """Write a share in [0, 1] as whole percent.

    Parameters
    ----------
    value : float or None

    Returns
    -------
    str
    """
    return NONE if value is None else f"{value:.0%}"


@register.filter
def chance(value: float) -> str:
    """Write a probability in [0, 1] as percent; never 0% or 100% unless it is exactly that.

    Parameters
    ----------
    value : float

    Returns
    -------
    str

    Examples
    --------
    >>> chance(0.0), chance(0.002), chance(0.5), chance(0.998)
    ('0%', '<1%', '50%', '>99%')
    """
    if 0.0 < value < 0.01:
        return "<1%"
    if 0.99 < value < 1.0:
        return ">99%"
    return f"{value:.0%}"


@register.filter
def grouped(value: int) -> str:
    """Write a count with its thousands set apart.

    Parameters
    ----------
    value : int

    Returns
    -------
    str
    """
    return f"{value:,}"


@register.filter
def seconds(milliseconds: float | None) -> str:
    """Write a duration in milliseconds as seconds with one decimal.

    Parameters
    ----------
    milliseconds : float or None

    Returns
    -------
    str
    """
    return NONE if milliseconds is None else f"{milliseconds / 1000:.1f} s"


@register.filter
def estimator_label(value: str) -> str:
    """Name an estimator as the forms do.

    Parameters
    ----------
    value : str
        One of `Estimator`; anything else is written as words.

    Returns
    -------
    str

    Examples
    --------
    >>> estimator_label("importance_weighted"), estimator_label("other_one")
    ('Importance weights alone', 'other one')
    """
    return str(Estimator(value).label) if value in Estimator.values else humane(value)


@register.filter
def humane(value: str) -> str:
    """Write an identifier as words.

    Parameters
    ----------
    value : str

    Returns
    -------
    str
    """
    return str(value).replace("_", " ")


@register.filter
def money(minor: int | None, currency: str) -> str:
    """Write an amount in minor units (pence, cents) with its currency.

    Parameters
    ----------
    minor : int or None
    currency : str
        ISO 4217.

    Returns
    -------
    str

    Examples
    --------
    >>> money(123456, "GBP"), money(None, "GBP")
    ('1,234.56 GBP', '–')
    """
    return NONE if minor is None else f"{minor / 100:,.2f} {currency}".replace("-", MINUS)


@register.filter
def logged(value: object) -> str:
    """Write a detail of the log: a pair is what was and what is, a list its parts.

    Parameters
    ----------
    value : object
        As the log keeps it: JSON.

    Returns
    -------
    str

    Examples
    --------
    >>> logged(["draft", None]), logged(3), logged({"n": 1})
    ('draft, now none', '3', 'n 1')
    """
    if isinstance(value, dict):
        return ", ".join(f"{humane(name)} {logged(inner)}" for name, inner in value.items())
    if isinstance(value, list):
        words = [logged(inner) for inner in value]
        return f"{words[0]}, now {words[1]}" if len(words) == 2 else ", ".join(words)
    return "none" if value is None or value == "" else str(value)
