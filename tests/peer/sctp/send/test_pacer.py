"""The token bucket between wake-ups, by hand."""

from __future__ import annotations

import pytest

from peer.sctp.send.pacer import Pacer

_RATE = 1_000_000.0
_QUANTUM = 2000


def _ask(pacer: Pacer, now: float, *, slack: float = 0.0) -> float:
    return pacer.allowance(now=now, rate=_RATE, quantum=_QUANTUM, slack=slack, idle=False)


def _send(pacer: Pacer, now: float, size: float, *, more: bool = True) -> None:
    pacer.on_sent(now=now, sent=int(size), rate=_RATE, quantum=_QUANTUM, more=more)


def _waiting_pacer() -> Pacer:
    """Has spent its credit at time 1 and waits for the next quantum."""
    pacer = Pacer()
    _send(pacer, 1.0, _ask(pacer, 1.0))
    assert pacer.next_send_at == pytest.approx(1.002)
    return pacer


def _sent_by(pacer: Pacer, end: float, *, slack: float) -> float:
    """Wake every millisecond until `end`; bytes that left since time 1.1."""
    total, now = 0.0, 1.1
    while now < end:
        allowed = _ask(pacer, now, slack=slack)
        if allowed:
            _send(pacer, now, allowed)
            total += allowed
        now += 0.001
    return total


def test_a_quantum_is_waited_for() -> None:
    pacer = _waiting_pacer()
    assert _ask(pacer, 1.001) == 0
    assert _ask(pacer, 1.002) == pytest.approx(_QUANTUM)


def test_lateness_beyond_a_short_burst_is_forgotten_without_slack() -> None:
    pacer = _waiting_pacer()
    assert _sent_by(pacer, 1.3, slack=0.0) == pytest.approx(200_000, rel=0.05)


def test_lateness_is_made_up_within_the_slack() -> None:
    pacer = _waiting_pacer()
    assert _sent_by(pacer, 1.3, slack=50_000) == pytest.approx(250_000, rel=0.05)
    assert not pacer.is_late


def test_lateness_is_never_made_up_at_once() -> None:
    pacer = _waiting_pacer()
    assert _ask(pacer, 1.1, slack=1e9) <= 0.003 * _RATE + _QUANTUM
    assert pacer.is_late
    _send(pacer, 1.1, 5000)
    assert _sent_by(pacer, 1.12, slack=1e9) <= 20 * 1500 + _QUANTUM


def test_silence_for_want_of_data_is_nothing_to_make_up() -> None:
    pacer = Pacer()
    _send(pacer, 1.0, _ask(pacer, 1.0), more=False)
    assert _ask(pacer, 1.1, slack=1e9) > 0
    assert not pacer.is_late
