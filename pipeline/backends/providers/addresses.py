"""Where a model's server is."""

from urllib.parse import urlsplit

import httpx


def require_url(url: str) -> None:
    """That the HTTP clients can make something of an address; Ollama's may have no scheme, and be empty.

    Raises:
        ValueError: they cannot. It does not show the address, which may hold a password.
    """
    try:
        whole = url if "://" in url else f"http://{url}"
        httpx.URL(whole)
        _ = urlsplit(whole).port
    except (ValueError, httpx.InvalidURL):
        raise ValueError("its port is no number, or it is no address at all") from None
