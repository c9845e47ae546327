"""Settings that cannot work are refused at once, with the name of the field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from peer.config import MAX_WINDOW, MIN_WINDOW, ChannelParameters, LinkConfig
from peer.errors import MessageTooLarge
from peer.transfer.protocol import TransferConfig
from peer.types import NetworkPath
from signaling.errors import ConfigError
from signaling.limits_config import MAX_PEERS, HeartbeatConfig, LimitsConfig


@pytest.mark.parametrize(
    ("settings", "values", "said"),
    [
        (ChannelParameters, {"label": "Grüße"}, "label must be ASCII"),
        (ChannelParameters, {"protocol": "x" * 65536}, "protocol is at most 65535"),
        (ChannelParameters, {"max_retransmits": 1, "max_lifetime": 1.0}, "not both"),
        (ChannelParameters, {"max_retransmits": -1}, "max_retransmits"),
        (ChannelParameters, {"max_lifetime": 66.0}, "max_lifetime"),
        (ChannelParameters, {"priority": 0}, "priority"),
        (ChannelParameters, {"id": 65535}, "id must be"),
        (LinkConfig, {"engine": "other"}, "engine must be one of"),
        (LinkConfig, {"receive_window": 0}, "receive_window"),
        (LinkConfig, {"unreliable_limit": 0}, "unreliable_limit"),
        (LinkConfig, {"receive_limit": 0}, "receive_limit"),
        (LinkConfig, {"low_water": -1}, "low_water"),
        (LinkConfig, {"unread_patience": 0.0}, "unread_patience"),
        (TransferConfig, {"window": 0}, "window"),
        (TransferConfig, {"max_frame": 1}, "max_frame"),
        (TransferConfig, {"read_ahead": 0}, "read_ahead"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(
    settings: Callable[..., object], values: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        settings(**values)


def test_settings_of_the_server_that_cannot_work_are_refused() -> None:
    with pytest.raises(ConfigError, match="peers_per_room"):
        LimitsConfig(peers_per_room=MAX_PEERS + 1)
    with pytest.raises(ConfigError, match="rooms"):
        LimitsConfig(rooms=0)
    with pytest.raises(ConfigError, match="interval"):
        HeartbeatConfig(interval=float("nan"))


@pytest.mark.parametrize(
    ("parameters", "reliable"),
    [({}, True), ({"max_retransmits": 0}, False), ({"max_lifetime": 1.0}, False)],
)
def test_a_channel_is_reliable_unless_messages_may_be_abandoned(
    parameters: dict[str, Any], reliable: bool
) -> None:
    assert ChannelParameters(**parameters).reliable is reliable


def test_the_window_of_a_link_stays_within_its_bounds() -> None:
    assert LinkConfig(receive_window=1).window == MIN_WINDOW
    assert LinkConfig(receive_window=2**40, receive_limit=2**40).window == MAX_WINDOW
    assert LinkConfig(receive_window=2**23, receive_limit=2**22).window == 2**22


def test_words_for_people() -> None:
    error = MessageTooLarge(70_000, 65_536)
    assert (error.size, error.limit) == (70_000, 65_536)
    assert "70000" in str(error)
    assert str(NetworkPath("relayed", "relay", "relay", "192.0.2.1:5", "192.0.2.2:6")) == "relayed"
    direct = NetworkPath("direct", "host", "host", "192.0.2.1:5", "192.0.2.2:6")
    assert str(direct) == "direct, 192.0.2.1:5 to 192.0.2.2:6"
