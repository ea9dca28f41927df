"""Which addresses on the net alerts may go to: the public ones over TLS, and networks that the operator named.

>>> reachable("127.0.0.1", (), plain=False)
False
>>> reachable("127.0.0.1", ("127.0.0.0/8",), plain=True)
True
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

_NAT64 = IPv6Network("64:ff9b::/96")


def reachable(address: str, networks: Iterable[str], *, plain: bool) -> bool:
    """Whether we may connect there. ``networks`` are those the operator named; ``plain``: without TLS."""
    ip = _meant(ip_address(address.partition("%")[0]))
    if any(ip in ip_network(each, strict=False) for each in networks):
        return True
    return not plain and _is_public(ip)


def _is_public(ip: IPv4Address | IPv6Address) -> bool:
    tunnel = isinstance(ip, IPv6Address) and (ip.sixtofour is not None or ip.teredo is not None)
    return ip.is_global and not ip.is_multicast and not tunnel


def _meant(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one stands for."""
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if isinstance(ip, IPv6Address) and ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip
