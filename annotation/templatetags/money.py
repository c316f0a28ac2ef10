"""Amounts for templates."""

from django import template

from annotation.queries.money import minor

register = template.Library()


@register.filter
def money(amount: float | None, currency: str) -> str:
    """Write an amount in minor units: ``12.50 GBP``; nothing for None."""
    return "" if amount is None else minor(amount, currency)
