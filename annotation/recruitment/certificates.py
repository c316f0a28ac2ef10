"""Whom the server believes to be the panel: the usual authorities, read once a process."""

import ssl
from functools import cache

import httpx


@cache
def tls() -> ssl.SSLContext:
    """Read the certificates; that takes a while, and they stay the same.

    Returns
    -------
    ssl.SSLContext
    """
    return httpx.create_ssl_context()
