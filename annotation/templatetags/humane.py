"""Numbers and words as a person reads them."""

import math

from django import template

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
