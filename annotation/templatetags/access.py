"""What the user of a page may do with its study."""

from typing import Any

from django import template

from annotation import permissions
from annotation.models import Study

register = template.Library()


@register.simple_tag(takes_context=True)
def may_change(context: dict[str, Any], study: Study) -> bool:
    """Say whether the user may change a study.

    Parameters
    ----------
    context : dict
        Of the template; its request has the user.
    study : Study
        Any.

    Returns
    -------
    bool
    """
    return permissions.may_change(context["request"].user, study)


@register.simple_tag(takes_context=True)
def owns(context: dict[str, Any], study: Study) -> bool:
    """Say whether the user may share and delete a study.

    Parameters
    ----------
    context : dict
        Of the template; its request has the user.
    study : Study
        Any.

    Returns
    -------
    bool
    """
    return permissions.owns(context["request"].user, study)
