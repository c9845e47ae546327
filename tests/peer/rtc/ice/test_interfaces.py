"""Which of a machine's addresses come first, and which are bridges to its own containers."""

from __future__ import annotations

import pytest

from lab.namespaces import LAN_ADDRESS, own_network
from peer.rtc.ice.interfaces import (
    MAX_HOSTS,
    default_interfaces,
    interface_names,
    is_bridge,
    ordered,
)


@pytest.mark.parametrize(
    "name",
    ["docker0", "br-1a2b3c4d5e6f", "veth12ab", "virbr0", "lxcbr0", "lxdbr0", "podman1", "cni0"],
)
def test_bridges_of_containers_are_known_by_their_names(name: str) -> None:
    assert is_bridge(name, ())
    assert not is_bridge(name, {name})  # the way out, say of a router or of a container


@pytest.mark.parametrize("name", ["eth0", "enp3s0", "wlan0", "en0", "br0", "wg0", "tun0", "Wi-Fi"])
def test_other_interfaces_are_not(name: str) -> None:
    assert not is_bridge(name, ())


def test_the_way_out_comes_first_and_bridges_last() -> None:
    names = {"172.17.0.1": "docker0", "10.8.0.2": "wg0", "192.168.1.5": "eth0", "fd00::5": "eth0"}
    chosen, bridges = ordered(names, names, {"eth0"})
    assert chosen == ["192.168.1.5", "fd00::5", "10.8.0.2", "172.17.0.1"]
    assert bridges == {"172.17.0.1"}


def test_so_many_addresses_are_offered_and_no_more() -> None:
    names = {f"172.17.{n}.1": f"br-{n:012x}" for n in range(100)}
    chosen, _ = ordered([*names, "192.168.1.5"], names, set())
    assert len(chosen) == MAX_HOSTS
    assert chosen[0] == "192.168.1.5"


def test_the_system_is_asked() -> None:
    with own_network() as own:
        assert own
        assert interface_names()[LAN_ADDRESS] == "va"
        assert default_interfaces() == {"va"}
