"""Rates, in virtual time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signaling.rate_limit import AddressRates, ErrorBudget, TokenBucket, address_key, is_loopback


def test_a_bucket_gives_a_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(rate=10, burst=3, now=100.0)
    assert [bucket.take(100.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert bucket.take(100.0) == pytest.approx(0.1)
    assert bucket.take(100.05) == pytest.approx(0.05)
    assert bucket.take(100.1) == 0.0
    assert bucket.take(100.1) > 0


def test_a_bucket_never_holds_more_than_its_burst() -> None:
    bucket = TokenBucket(rate=10, burst=2, now=0.0)
    assert [bucket.take(1e6) for _ in range(3)][:2] == [0.0, 0.0]
    assert bucket.take(1e6) > 0


def test_a_refused_token_costs_nothing() -> None:
    bucket = TokenBucket(rate=1, burst=1, now=0.0)
    bucket.take(0.0)
    for _ in range(50):
        assert bucket.take(0.5) > 0
    assert bucket.take(1.0) == 0.0


def test_a_clock_that_goes_back_gives_nothing() -> None:
    bucket = TokenBucket(rate=1, burst=1, now=10.0)
    assert bucket.take(10.0) == 0.0
    assert bucket.take(5.0) > 0
    assert bucket.take(10.5) > 0


@settings(max_examples=200, deadline=None)
@given(st.floats(0.1, 1000), st.integers(1, 50), st.lists(st.floats(0, 10), max_size=60))
def test_no_schedule_gets_more_than_burst_and_rate(
    rate: float, burst: int, gaps: list[float]
) -> None:
    bucket, now, taken = TokenBucket(rate, burst, 0.0), 0.0, 0
    for gap in gaps:
        now += gap
        taken += bucket.take(now) == 0.0
    assert taken <= burst + rate * now + 1e-6


def test_waiting_as_long_as_told_is_enough() -> None:
    bucket = TokenBucket(rate=3, burst=1, now=0.0)
    bucket.take(0.0)
    wait = bucket.take(0.1)
    assert bucket.take(0.1 + wait) == 0.0


def test_addresses_have_a_bucket_each() -> None:
    rates = AddressRates(2)
    assert [rates.take("a", 0.0), rates.take("a", 0.0)] == [0.0, 0.0]
    assert rates.take("a", 0.0) == pytest.approx(30.0)
    assert rates.take("b", 0.0) == 0.0


def test_the_wait_of_an_address_is_told_without_taking_anything() -> None:
    rates = AddressRates(2, 3600.0)
    assert rates.wait("a", 0.0) == 0.0
    rates.take("a", 0.0)
    assert [rates.wait("a", 0.0), rates.wait("a", 0.0)] == [0.0, 0.0]
    rates.take("a", 0.0)
    assert rates.wait("a", 0.0) == pytest.approx(1800.0)
    assert rates.wait("a", 1800.0) == 0.0


def test_tokens_can_be_taken_by_the_number_and_put_back() -> None:
    bucket = TokenBucket(rate=10, burst=100, now=0.0)
    assert bucket.take_up_to(70, 0.0) == 70
    assert bucket.take_up_to(70, 0.0) == 30
    assert bucket.wait_for(20, 0.0) == 2.0
    bucket.give_back(25)
    assert bucket.wait_for(20, 0.0) == 0.0
    assert bucket.take_up_to(70, 0.5) == 30
    bucket.give_back(1000)
    assert bucket.take_up_to(1000, 0.5) == 100
    # No more than the bucket holds can be waited for.
    assert bucket.wait_for(10_000, 0.5) == 10.0


def test_addresses_that_were_quiet_are_forgotten() -> None:
    rates = AddressRates(60)
    for number in range(100):
        rates.take(f"a{number}", float(number) / 1000)
    assert len(rates) == 100
    rates.take("new", 1000.0)
    assert len(rates) == 1


def test_many_addresses_at_once_take_bounded_memory() -> None:
    rates = AddressRates(1, capacity=50)
    for number in range(1000):
        rates.take(f"a{number}", 0.0)
        assert len(rates) <= 50
    assert rates.take("a999", 0.0) > 0, "the latest is still known"


def test_errors_are_forgiven_up_to_a_number_within_the_window() -> None:
    budget = ErrorBudget(errors=3, window=10.0)
    assert [budget.spend(now) for now in (0.0, 1.0, 2.0)] == [True, True, False]
    patient = ErrorBudget(errors=3, window=10.0)
    assert all(patient.spend(now) for now in (0.0, 6.0, 12.0, 18.0, 24.0))


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::1"),
        ("127.0.0.1", "127.0.0.1"),
        (None, "unknown"),
        ("", "unknown"),
        ("somewhere", "unknown"),
    ],
)
def test_whom_an_address_counts_with(address: str | None, key: str) -> None:
    assert address_key(address) == key


def test_loopback_is_recognised_in_every_form() -> None:
    for address in ("127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"):
        assert is_loopback(address)
    for other in ("192.0.2.1", "::", "::2", None, "localhost.example"):
        assert not is_loopback(other)
