"""Places at the door."""

from __future__ import annotations

from signaling.visitors import Arrival, Visitors


def visitors(places: int = 100, per_address: int = 3, per_minute: int = 60) -> Visitors:
    return Visitors(places, per_address, per_minute, spare_loopback=True)


def test_an_address_has_so_many_places_and_a_prefix_is_one_address() -> None:
    door = visitors()
    for number in range(3):
        assert door.arrives(number, f"2001:db8::{number:x}", 0.0).is_welcome
    assert not door.arrives(3, "2001:db8::ffff", 0.0).is_welcome
    assert door.arrives(4, "2001:db8:0:1::1", 0.0).is_welcome
    door.leaves(0)
    assert door.arrives(5, "2001:db8::ffff", 0.0).is_welcome
    assert len(door) == 4


def test_an_address_may_come_so_often() -> None:
    door = visitors(per_minute=5)
    for number in range(5):
        assert door.arrives(number, "192.0.2.1", 0.0).is_welcome
        door.leaves(number)
    assert not door.arrives(5, "192.0.2.1", 0.0).is_welcome
    assert not door.arrives(6, "::ffff:192.0.2.1", 0.0).is_welcome
    assert door.arrives(7, "192.0.2.1", 12.1).is_welcome


def test_this_machine_is_bounded_by_the_places_alone() -> None:
    door = visitors(places=10, per_minute=1)
    for number in range(10):
        assert door.arrives(number, "127.0.0.1", 0.0) == Arrival(True)
    assert door.arrives(10, "::1", 0.0) == Arrival(True, gives_way=0)
    assert len(door) == 10


def test_the_idlest_gives_way() -> None:
    door = visitors(places=3)
    for number in range(3):
        door.arrives(number, f"192.0.2.{number}", 0.0)
    door.asks(0)
    assert door.arrives(3, "198.51.100.1", 0.0).gives_way == 1
    assert door.arrives(4, "198.51.100.1", 0.0).gives_way == 2
    assert door.arrives(5, "198.51.100.1", 0.0).gives_way == 0


def test_leaving_twice_is_leaving_once() -> None:
    door = visitors()
    door.arrives(1, None, 0.0)
    door.leaves(1)
    door.leaves(1)
    door.asks(1)
    assert len(door) == 0
