"""What may be connected to: the public Internet, and what Python code names beside it.

A table of tracks comes from outside, and with it the addresses in it. Nothing in it may make this
machine ask its own network, or the metadata service of a cloud, for something.
"""

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

from kit.ingest.previews.errors import PreviewError

# RFC 6052: the last 32 bits are the IPv4 address that is meant.
_NAT64 = IPv6Network("64:ff9b::/96")

# Of a host with more addresses these are tried; each may cost the time limit of a connection.
_MOST_ADDRESSES = 4


def system_addresses(host: str, port: int) -> list[str]:
    """What the system's resolver answers, best first.

    Raises:
        OSError: no such host, or no answer.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@dataclass(frozen=True)
class Reach:
    """What downloads may connect to.

    No flag of the command line changes it: what opens a private network is written in Python.

    Attributes:
        allow: networks that are allowed beside the public Internet, such as "127.0.0.1/32".
        ca: certificates to trust in place of the usual authorities, a PEM file.
        addresses: host and port to addresses; the system's resolver if not given.
    """

    allow: tuple[str, ...] = ()
    ca: Path | None = None
    addresses: Callable[[str, int], Sequence[str]] = system_addresses

    def checked(self, host: str, port: int) -> list[str]:
        """The addresses of a host, asked for once and all of them allowed.

        Raises:
            PreviewError: no such host, or one of its addresses is not allowed.
        """
        try:
            found = [ipaddress.ip_address(text) for text in self.addresses(host, port)]
        except (OSError, UnicodeError) as error:
            raise PreviewError(
                "unknown_host",
                f"the name {host!r} is not known ({error}); check the network, or correct the "
                "column preview_url",
                passing=True,
            ) from error
        allowed = [ipaddress.ip_network(text) for text in self.allow]
        for address in map(_meant, found):
            if not (is_public(address) or any(_in(address, network) for network in allowed)):
                # One bad address among good ones is no accident.
                raise PreviewError(
                    "refused_address",
                    f"{host!r} leads to {address}, which is not an address of the public Internet; "
                    "correct the column preview_url",
                )
        return [str(address) for address in found[:_MOST_ADDRESSES]]


PUBLIC = Reach()
"""The public Internet, by the usual authorities."""


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Is it one unicast address of the public Internet, and not a way round to another?"""
    address = _meant(address)
    if isinstance(address, IPv6Address) and (
        address.is_site_local or address.sixtofour or address.teredo
    ):
        return False
    return address.is_global and not (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
    )


def _meant(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """An IPv4 address in IPv6's clothes as what it is."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _in(address: IPv4Address | IPv6Address, network: IPv4Network | IPv6Network) -> bool:
    return address.version == network.version and address in network
