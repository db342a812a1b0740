"""Which addresses may be connected to."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.ingest.previews import PUBLIC, PreviewError, Reach
from kit.ingest.previews.reach import is_public

REFUSED = [
    *("127.0.0.1", "127.8.9.10", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1"),
    *("169.254.169.254", "100.64.0.1", "224.0.0.1", "239.1.1.1", "255.255.255.255", "240.0.0.1"),
    *("192.0.2.1", "198.51.100.7", "203.0.113.9", "198.18.0.1"),
    *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1"),
    *("2001:db8::1", "100::1", "4000::1", "::127.0.0.1"),
    # The same in other clothes: mapped, NAT64, 6to4, Teredo.
    *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1"),
    *("64:ff9b::169.254.169.254", "64:ff9b::127.0.0.1", "64:ff9b:1::1"),
    *("2002:a9fe:a9fe::1", "2002:808:808::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2"),
]
PUBLIC_ONES = [
    *("8.8.8.8", "1.1.1.1", "35.186.224.25", "172.15.0.1", "172.32.0.1", "169.253.0.1"),
    *("2606:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::808:808"),
]


@pytest.mark.parametrize("address", REFUSED)
def test_what_is_not_of_the_public_internet_is_refused(address):
    assert not is_public(ipaddress.ip_address(address))
    with pytest.raises(PreviewError, match="not an address of the public Internet") as caught:
        Reach(addresses=lambda host, port: ["8.8.8.8", address]).checked("a.example", 443)
    assert (caught.value.reason, caught.value.passing) == ("refused_address", False)


@pytest.mark.parametrize("address", PUBLIC_ONES)
def test_what_is_public_is_let_through(address):
    assert is_public(ipaddress.ip_address(address))
    assert Reach(addresses=lambda host, port: [address]).checked("a.example", 443)


@given(st.ip_addresses(v=4))
def test_an_address_in_other_clothes_is_what_it_was(address):
    public = is_public(address)
    assert is_public(ipaddress.ip_address(f"::ffff:{address}")) == public
    assert is_public(ipaddress.ip_address(f"64:ff9b::{address}")) == public
    # The union of what the two tables of the IANA call special.
    if public:
        assert address.is_global
        assert not any((address.is_private, address.is_multicast, address.is_reserved))


def test_what_is_allowed_beside_is_that_alone():
    def reach(address):
        return Reach(allow=("127.0.0.1/32", "fd00::/8"), addresses=lambda h, p: [address])

    for good in ("127.0.0.1", "::ffff:127.0.0.1", "fd12::1"):
        assert len(reach(good).checked("x", 443)) == 1
    for bad in ("127.0.0.2", "::1", "fc00::1"):
        with pytest.raises(PreviewError):
            reach(bad).checked("x", 443)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "::1", "::ffff:127.0.0.1"],
)
def test_the_systems_resolver_is_believed_in_every_spelling(host):
    with pytest.raises(PreviewError) as caught:
        PUBLIC.checked(host, 443)
    assert caught.value.reason in ("refused_address", "unknown_host")
    if host == "127.0.0.1":
        assert caught.value.reason == "refused_address"


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..b", "no-such-name.invalid", ""])
def test_a_name_that_is_none(host):
    with pytest.raises(PreviewError) as caught:
        PUBLIC.checked(host, 443)
    assert caught.value.reason in ("unknown_host", "refused_address")
