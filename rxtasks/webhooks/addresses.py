"""Which addresses a webhook may be delivered to. It is pure."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

__all__ = ["is_public"]

_NAT64 = ip_network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an address of IPv4


def is_public(address: str) -> bool:
    """Whether an address is one of the public Internet.

    Addresses of IPv6 that stand for one of IPv4 (mapped, 6to4, Teredo, NAT64) are as public as
    that.

    Args:
        address: As in "192.0.2.1" or "2001:db8::1"; with the zone of IPv6, if it has one.
    """
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped is not None or ip in _NAT64:
            return _is_public(IPv4Address(int(ip) & 0xFFFFFFFF))
        behind = [ip.sixtofour, *(ip.teredo or ())]
        return all(each is None or _is_public(each) for each in [ip, *behind])
    return _is_public(ip)


def _is_public(ip: IPv4Address | IPv6Address) -> bool:
    if isinstance(ip, IPv6Address) and ip.is_site_local:
        return False  # an old kind of private address, which `is_global` takes for a public one
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)
