"""Signed addresses of images: made for one participation, good for a day at most.

The signature shows that the site itself gave this address to this rater; that the rater's session
and task go with it is checked as well, where the image is sent.
"""

import base64
import hmac
import time
from urllib.parse import urlencode
from uuid import UUID

from django.urls import reverse
from django.utils.crypto import salted_hmac

#: Addresses made within the same half day end together, so that a reload finds the browser's copy.
HALF_A_DAY = 12 * 60 * 60


def image_address(*, participation_id: UUID, image_id: UUID, now: float | None = None) -> str:
    """Make the address under which a rater gets an image.

    Parameters
    ----------
    participation_id, image_id : UUID
        Public ids of the participation and of the probe input.
    now : float, optional
        Seconds since 1970; the present by default.

    Returns
    -------
    str
        Good for 12 to 24 hours.
    """
    present = time.time() if now is None else now
    until = (int(present) // HALF_A_DAY + 2) * HALF_A_DAY
    signature = _signature(participation_id, image_id, until)
    query = urlencode({"until": until, "sign": signature})
    return f"{reverse('rater:image', args=[image_id])}?{query}"


def seconds_left(
    *,
    participation_id: UUID,
    image_id: UUID,
    until: str,
    signature: str,
    now: float | None = None,
) -> int:
    """Check an address, and say how long it is still good.

    Parameters
    ----------
    participation_id, image_id : UUID
        Whom and what it must have been made for.
    until, signature : str
        As they stand in the address.
    now : float, optional
        Seconds since 1970; the present by default.

    Returns
    -------
    int
        0 when the address is forged, was made for another rater or image, or is out of date.
    """
    if not (until.isascii() and until.isdigit() and len(until) < 16):
        return 0
    expected = _signature(participation_id, image_id, int(until))
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        return 0
    present = time.time() if now is None else now
    return max(0, int(until) - int(present))


def _signature(participation_id: UUID, image_id: UUID, until: int) -> str:
    digest = salted_hmac(
        "annotation.image", f"{participation_id}/{image_id}/{until}", algorithm="sha256"
    ).digest()
    return base64.urlsafe_b64encode(digest[:18]).decode()
