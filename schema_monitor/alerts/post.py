"""Posts to a URL that an operator entered: no redirects, no proxy, little time, and only where it may reach.

The name is resolved here and the connection goes to the address that was judged, so a name that answers differently the second time
gains nothing. TLS still asks for a certificate of the name.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Sequence
from functools import cache
from socket import SOCK_STREAM

import httpx

from schema_monitor.alerts.sent import Sent, retry_after
from schema_monitor.core.reach import reachable

SECONDS = 15.0
"""For everything, from the name's resolution to the answer's head."""
_TIMEOUT = httpx.Timeout(10.0, connect=5.0)
_EXCERPT = 300
_AGENT = "Mendgate-Alerts/1"
_TLS_NEEDED = " (without TLS only a network in ALERT_NETWORKS is)"


class Unreachable(Exception):
    """We may not connect there, or the name has no address."""


def post(url: str, body: bytes, headers: dict[str, str], networks: Sequence[str]) -> Sent:
    """Posts JSON once and says how it went; never raises for what the other side does."""
    began = time.monotonic()
    try:
        sent = asyncio.run(_in_time(httpx.URL(url), body, headers, networks))
    except TimeoutError:
        sent = Sent(False, error=f"No answer within {SECONDS:.0f} s.")
    except Unreachable as error:
        sent = Sent(False, error=str(error))
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        sent = Sent(False, error=_said(error))
    return sent.after(time.monotonic() - began)


async def _in_time(url: httpx.URL, body: bytes, headers: dict[str, str], networks: Sequence[str]) -> Sent:
    async with asyncio.timeout(SECONDS):
        addresses = await _addresses(url, networks)
        async with httpx.AsyncClient(timeout=_TIMEOUT, verify=_trust(url.scheme), trust_env=False, follow_redirects=False) as client:
            return await _first_that_connects(client, url, addresses, body, headers)


async def _addresses(url: httpx.URL, networks: Sequence[str]) -> list[str]:
    """Where the name leads, as far as we may go there."""
    plain = url.scheme != "https"
    port = url.port or (80 if plain else 443)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(url.host, port, type=SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"The name {url.host} has no address.") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    allowed = [each for each in addresses if reachable(each, networks, plain=plain)]
    if not allowed:
        raise Unreachable(f"{url.host} is no address that alerts may go to{_TLS_NEEDED if plain else ': see ALERT_NETWORKS'}.")
    return allowed


async def _first_that_connects(
    client: httpx.AsyncClient, url: httpx.URL, addresses: Sequence[str], body: bytes, headers: dict[str, str]
) -> Sent:
    for address in addresses[:-1]:
        try:
            return await _post(client, url, address, body, headers)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            continue
    return await _post(client, url, addresses[-1], body, headers)


async def _post(client: httpx.AsyncClient, url: httpx.URL, address: str, body: bytes, headers: dict[str, str]) -> Sent:
    own = {"Host": url.netloc.decode(), "Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": _AGENT}
    request = client.build_request("POST", url.copy_with(host=address), content=body, headers={**own, **headers})
    request.extensions["sni_hostname"] = url.host
    answer = await client.send(request, stream=True)
    try:
        ok = 200 <= answer.status_code < 300
        error = "" if ok else f"HTTP {answer.status_code} {await _excerpt(answer)}".strip()
        pause = None if ok else retry_after(answer.headers.get("retry-after"))
        return Sent(ok, answer.status_code, error, pause, gone=answer.status_code == 410)
    finally:
        await answer.aclose()


async def _excerpt(answer: httpx.Response) -> str:
    """The beginning of what the other side says about it."""
    text = b""
    async for part in answer.aiter_raw():
        text += part
        if len(text) >= _EXCERPT:
            break
    return " ".join(text[:_EXCERPT].decode(errors="replace").replace("\0", "").split())


def _said(error: Exception) -> str:
    """Its kind and words; never the URL, which may hold a secret."""
    words = "" if isinstance(error, httpx.InvalidURL) else str(error)
    return f"{type(error).__name__}: {words}".rstrip(": ")


@cache
def _trust(scheme: str) -> ssl.SSLContext:
    """The authorities to believe; without TLS there are none to load."""
    if scheme != "https":
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return httpx.create_ssl_context()  # SSL_CERT_FILE names authorities of one's own
