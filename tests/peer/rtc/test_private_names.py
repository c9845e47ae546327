"""The names of aiortc, aioice and pyOpenSSL that are not public and that `peer/rtc` relies on.

When one of these fails after an upgrade, the release has moved what it names: look at the file
given with it, mend it there, and only then widen the version in `pyproject.toml`.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
from pathlib import Path

import pytest
from aioice import Connection as IceConnection
from aioice import turn
from aioice.ice import CandidatePair, StunProtocol
from aiortc import RTCPeerConnection
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcsctptransport import RTCSctpTransport
from OpenSSL import SSL

from peer.rtc import Connection
from tests.support.links.connections import CONTROL, connected_pair

RTC = Path(__file__).resolve().parents[3] / "peer" / "rtc"


@pytest.mark.parametrize(
    ("owner", "name", "used_in"),
    [
        (RTCPeerConnection, "_RTCPeerConnection__createSctpTransport", "association.py"),
        (RTCPeerConnection, "_RTCPeerConnection__createDtlsTransport", "association.py"),
        (RTCPeerConnection, "_RTCPeerConnection__createSctpTransport", "stock.py"),
        (RTCSctpTransport, "_receive", "stock.py"),
        (RTCSctpTransport, "_reset_deferred_streams", "stock.py"),
        (RTCDtlsTransport, "_register_data_receiver", "association.py"),
        (RTCDtlsTransport, "_unregister_data_receiver", "association.py"),
        (RTCDtlsTransport, "_send_data", "packets.py"),
        (IceConnection, "get_component_candidates", "connection.py"),
        (IceConnection, "_pair_remote_candidate", "ice.py"),
        (IceConnection, "_add_remote_candidate", "ice.py"),
        (IceConnection, "_find_pair", "ice.py"),
        (IceConnection, "sort_check_list", "ice.py"),
        (IceConnection, "check_incoming", "ice.py"),
        (IceConnection, "request_received", "ice.py"),
        (IceConnection, "respond_error", "ice.py"),
        (IceConnection, "query_consent", "ice.py"),
        (IceConnection, "build_request", "ice.py"),
        (IceConnection, "data_received", "repeats.py"),
        (StunProtocol, "send_stun", "repeats.py"),
        (StunProtocol, "datagram_received", "shared_socket.py"),
        (StunProtocol, "error_received", "shared_socket.py"),
        (StunProtocol, "connection_lost", "shared_socket.py"),
        (StunProtocol, "request", "gathering.py"),
        (CandidatePair, "remote_addr", "packets.py"),
        (turn.TurnTransport, "_connect", "relay.py"),
        (turn.TurnClientUdpProtocol, "_send", "relay.py"),
        (turn.TurnClientTcpProtocol, "_send", "relay.py"),
        (SSL, "_lib", "records.py"),
        (SSL, "_ffi", "records.py"),
    ],
)
def test_a_private_name_is_where_it_was(owner: object, name: str, used_in: str) -> None:
    assert hasattr(owner, name), f"{owner} has no {name} any more; peer/rtc/{used_in} uses it"


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (RTCDtlsTransport._send_data, ["self", "data"]),
        (RTCDtlsTransport._register_data_receiver, ["self", "receiver"]),
        (IceConnection.get_component_candidates, ["self", "component", "addresses", "timeout"]),
        (StunProtocol.datagram_received, ["self", "data", "addr"]),
        (turn.TurnTransport._connect, ["self", "protocol"]),
    ],
)
def test_a_private_function_takes_what_it_took(function: object, parameters: list[str]) -> None:
    assert callable(function)
    assert list(inspect.signature(function).parameters) == parameters


async def test_attributes_of_a_live_connection_are_where_they_were() -> None:
    async with connected_pair() as (ours, theirs, connection, _):
        ours.channel.send("hello")
        assert await theirs.messages.get() == "hello"
        sctp = connection._pc.sctp
        assert sctp is not None, "RTCPeerConnection no longer takes our transport for its own"
        dtls = sctp.transport
        assert dtls._role in ("client", "server")
        assert isinstance(dtls._ssl, SSL.Connection)
        for name in ("_ssl", "_into_ssl", "_from_ssl"):
            assert hasattr(dtls._ssl, name), f"pyOpenSSL's Connection has no {name} any more"
        ice = dtls.transport._connection
        assert isinstance(ice, IceConnection)
        assert isinstance(ice._queue, asyncio.Queue)
        assert isinstance(ice._nominated[1], CandidatePair)
        assert ice._local_candidates
        assert ice._remote_candidates
        assert ice._remote_candidates[0]._network_host
        assert isinstance(ice._check_list, list)
        assert ice._query_consent_task is not None
        assert ice._protocols


async def test_the_attribute_that_our_transport_is_put_into_is_where_it_was() -> None:
    pc = RTCPeerConnection()
    name = "_RTCPeerConnection__sctp"
    assert name in vars(pc), f"RTCPeerConnection has no {name} any more; association.py sets it"
    await pc.close()


def test_what_aiortc_asks_of_whoever_receives_its_data_is_known() -> None:
    """Packets from a relay come by this call; a new name would find nobody."""
    from peer.rtc.engines.association import AssociationTransport

    assert _asked_of("_data_receiver", RTCDtlsTransport) == {"_handle_data"}
    assert inspect.iscoroutinefunction(AssociationTransport._handle_data)
    assert list(inspect.signature(AssociationTransport._handle_data).parameters) == ["self", "data"]


def _asked_of(name: str, user: type) -> set[str]:
    """The attributes of `name`, or of an attribute of that name, that the module of `user` uses."""
    tree = ast.parse(inspect.getsource(inspect.getmodule(user) or user))
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and name in (getattr(node.value, "attr", None), getattr(node.value, "id", None))
    }


async def test_aiortcs_queues_are_where_the_stock_engine_looks() -> None:
    connection = Connection(engine="aiortc")
    try:
        connection.create_channel(CONTROL)
        sctp = connection._pc.sctp
        assert isinstance(sctp, RTCSctpTransport)
        for name in ("_data_channel_queue", "_outbound_queue", "_sent_queue", "_last_sacked_tsn"):
            assert hasattr(sctp, name), f"RTCSctpTransport has no {name} any more"
    finally:
        await connection.close()


def test_what_rtcpeerconnection_asks_of_its_sctp_transport_is_known() -> None:
    """A new use of the transport in aiortc must be met by `AssociationTransport`."""
    from peer.rtc.engines.association import AssociationTransport

    asked = _asked_of("__sctp", RTCPeerConnection) | _asked_of("sctp", RTCPeerConnection)
    ours = set(dir(AssociationTransport)) | {"transport", "state"}
    # `on` belongs to the making of aiortc's own transport, `mid` is in `dir` as a class attribute.
    assert asked - ours == {"on"}
