"""Links: what a program holds of another peer (floor 3)."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Self

from peer.channel.async_queue import AsyncQueue
from peer.channel.channel import Channel
from peer.channel.chat.driver import ChatDriver
from peer.channel.chat.session import ChatSession
from peer.config import ChannelParameters, LinkConfig, Priority
from peer.errors import LinkClosed, LinkEnded, LinkLost, PeerError
from peer.transfer.disk import Sources
from peer.transfer.engine import IncomingTransfer, OutgoingTransfer, Transfers
from peer.types import NetworkPath, PeerInfo

from .connection import FIRST_FREE_ID, LinkConnection
from .control import ByeReceived, ChannelUnread, ControlEvent, OtherMessage, PeerSilent
from .control_channel import error_of_goodbye
from .state import TRANSITIONS, LinkEvent, LinkState

__all__ = ["Link"]

logger = logging.getLogger(__name__)


class _Port:
    """The link as transfers see it: a `peer.transfer.engine.port.TransferPort`."""

    def __init__(self, connection: LinkConnection) -> None:
        self.control = connection.control.channel
        self.blocks = connection.blocks_channel
        self._connection = connection.connection

    @property
    def max_message_size(self) -> int:
        return self._connection.max_message_size


class Link:
    """The connection to one other peer: chat, files, and channels of one's own.

    Get one from `Room.link` or by iterating over a `Room`; it is connected, encrypted end to end,
    and the other side has said hello.

    Attributes:
        peer: The peer at the other end.
        sas: Four words, the same at both ends unless a third party is in between; two people can
            compare them by voice.
        authenticated: Whether the other side has proved that it knows the code or the password;
            if not, comparing `sas` is the only proof.
        offerer: Whether our side made the offer; the two ends always differ in it.
        chat: Text between the two people.
    """

    def __init__(
        self,
        connection: LinkConnection,
        *,
        peer: PeerInfo,
        offerer: bool,
        authenticated: bool,
        sas: tuple[str, ...],
        config: LinkConfig,
    ) -> None:
        """Take over a connection on which both sides have said hello; rooms do this."""
        self.peer = peer
        self.sas = sas
        self.authenticated = authenticated
        self.offerer = offerer
        self._connection = connection
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._last_path = connection.connection.path
        self._unread_timer: asyncio.TimerHandle | None = None
        self._state = LinkState.OPEN
        self._released = asyncio.Event()
        self._closing: asyncio.Task[None] | None = None
        self._done_callbacks: list[Callable[[], None]] = []
        self._chat_driver = ChatDriver(connection.chat_channel, on_fault=self._end)
        self.chat = ChatSession(self._chat_driver)
        self._transfers = Transfers(_Port(connection), offerer=offerer)
        connection.connection.on_ended = self._on_ended
        connection.on_waiting = self._watch_unread
        connection.blocks_channel.deliver_to(self._transfers.receive_block)
        connection.control.start(self._on_control)
        if connection.unread:
            self._watch_unread()
        if connection.control.channel.closed:
            self._on_ended(connection.reason())

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return f"<Link to {self.peer.id} ({self.peer.name!r}), {state}>"

    # Properties

    @property
    def closed(self) -> bool:
        """Whether it is over, for whatever reason."""
        return self._state in (LinkState.ENDED, LinkState.RELEASED)

    @property
    def path(self) -> NetworkPath | None:
        """The network path in use; when the link is over, the last one."""
        return self._connection.connection.path or self._last_path

    @property
    def max_message_size(self) -> int:
        """Largest message the other side accepts on a channel, in bytes."""
        return self._connection.connection.max_message_size

    @property
    def round_trip(self) -> float | None:
        """Seconds the last ping on an idle link took; None before the first."""
        return self._connection.control.round_trip

    # Channels

    async def open_channel(
        self,
        label: str = "",
        *,
        ordered: bool = True,
        max_retransmits: int | None = None,
        max_lifetime: float | None = None,
        protocol: str = "",
        priority: int = Priority.NORMAL,
        id: int | None = None,
    ) -> Channel:
        """Open a data channel, and wait until it can send.

        Args:
            label: Its name, ASCII.
            ordered: Whether messages arrive in the order in which they were sent.
            max_retransmits: How often a lost message is sent again; None: until it arrives.
            max_lifetime: Seconds after which a message is given up; None: never.
            protocol: Name of what is spoken on it, ASCII.
            priority: Share of the path beside other channels, a `Priority` or a number in 1..65535.
            id: A stream number that both sides open by themselves, from 3 on; None: the other side
                is told, and gets the channel from `channels`.

        Raises:
            ValueError: An argument makes no sense, or the id is taken.
            ChannelError: There are as many channels as there can be, or the other side closed
                this one (`ChannelClosed`).
            LinkEnded: The link broke (`LinkLost`) or is closed (`LinkClosed`).
        """
        if id is not None and id < FIRST_FREE_ID:
            raise ValueError(f"ids below {FIRST_FREE_ID} are Peerline's own")
        parameters = ChannelParameters(
            label=label,
            ordered=ordered,
            max_retransmits=max_retransmits,
            max_lifetime=max_lifetime,
            protocol=protocol,
            priority=priority,
            id=id,
        )
        self._check_open()
        channel = self._connection.channel(parameters)
        try:
            await channel.opened()
        except asyncio.CancelledError:
            channel.abandon()
            raise
        self._connection.remember(channel)
        return channel

    def channels(self) -> AsyncQueue[Channel]:
        """The channels that the other side opens, as they come.

        The iteration ends when the link is closed, and raises `LinkLost` when it breaks.
        """
        return AsyncQueue(self._connection.incoming)

    # Files

    async def send_files(
        self,
        paths: Sources | str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        strict: bool = False,
    ) -> OutgoingTransfer:
        """Offer files and folders to the other side; returns when they are listed.

        Iterate over the result for its progress, and await its `done` for their arrival. Entries
        that cannot be read, and devices and sockets, are left out: see its `left_out`.

        Args:
            paths: Files and folders, or a listing of them from `Sources.of`. Of a listing, files
                that changed or vanished since are left out, as during the transfer.
            strict: Refuse to leave anything out; a listing has its own `Sources.strict`.

        Raises:
            DiskError: A path does not exist, nothing is left to send, or (when strict) something
                would be left out.
            TransferError: They do not make a transfer.
            RuntimeError: The listing was sent before.
            LinkEnded: The link broke (`LinkLost`) or is closed (`LinkClosed`).
        """
        return await self._transfers.send(paths, strict=strict)

    def transfers(self) -> AsyncIterator[IncomingTransfer]:
        """Iterate over the offers of the other side; accept or decline each.

        The iteration ends when the link is closed, and raises `LinkLost` when it breaks.
        """
        return aiter(self._transfers)

    # The end

    async def close(self, code: str = "bye", message: str = "") -> None:
        """Close in order: first what was sent arrives, then the goodbye.

        That may take as long as something does arrive; `Timeouts.close` bounds the standstill.

        Args:
            code: A word for programs that tells the other side why: letters a-z, digits and `_`.
            message: A sentence for its person.
        """
        if self._fire(LinkEvent.CLOSE):
            self._start_closing(code, message)
        assert self._closing is not None
        await asyncio.shield(self._closing)

    async def wait_closed(self) -> None:
        """Wait until the link is over.

        Raises:
            LinkLost: It broke; not when either side closed it.
        """
        await self._released.wait()
        end = self._connection.end
        if end is not None and not isinstance(end, LinkClosed):
            raise end

    def add_done_callback(self, callback: Callable[[], None]) -> None:
        """Have a function called when the link is over; at once if it is."""
        if self.closed:
            callback()
        else:
            self._done_callbacks.append(callback)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    # Ends

    def _fire(self, event: LinkEvent) -> bool:
        """Move to the next state; return whether it is another one."""
        before, self._state = self._state, TRANSITIONS[self._state][event]
        return self._state is not before

    def _doubt(self) -> None:
        """The server says that the other side left its room: ask the other side."""
        self._connection.control.doubt()

    def _start_closing(self, code: str = "", message: str = "") -> None:
        self._closing = asyncio.create_task(self._close(code, message), name="close link")

    async def _close(self, code: str, message: str) -> None:
        connection = self._connection
        if self._state is LinkState.CLOSING:
            await self._transfers.close()
            patience = self._config.timeouts.close
            try:
                await connection.connection.flush(patience)
                connection.control.say_goodbye(code, message)
                # From here on the other side may close first, and that is in order.
                self._end(LinkClosed())
                await connection.connection.flush(patience)
            except TimeoutError:
                logger.info("the other side did not take everything before the link was closed")
            self._end(LinkClosed())
        await self._transfers.close(connection.end)
        await connection.close()
        self._fire(LinkEvent.RELEASE)
        self._released.set()

    def _end(self, error: PeerError) -> None:
        """End the link, from now on; the first call counts."""
        before = self._state
        if before not in (LinkState.OPEN, LinkState.CLOSING):
            return
        if before is LinkState.CLOSING and not isinstance(error, LinkClosed):
            error = LinkClosed()  # the program asked for the end, whatever happened on the way
        self._last_path = self.path
        self._fire(LinkEvent.END)
        connection = self._connection
        connection.end = error
        connection.control.stop()
        if self._unread_timer is not None:
            self._unread_timer.cancel()
        self._chat_driver.stop(error)
        self._transfers.abort(error)
        connection.incoming.end(error)
        for callback in self._done_callbacks:
            callback()
        self._done_callbacks.clear()
        if before is LinkState.OPEN:
            self._start_closing()

    def _check_open(self) -> None:
        if self._connection.end is not None:
            raise self._connection.end

    def _on_ended(self, error: PeerError) -> None:
        """Handle the end of the connection without a goodbye."""
        self._end(error if isinstance(error, LinkEnded) else LinkLost(str(error)))

    # Events of the connection

    def _watch_unread(self) -> None:
        """Check later that a waiting message does not hold up the others for ever."""
        if self._unread_timer is None and not self.closed:
            self._unread_timer = self._loop.call_later(
                self._connection.unread.interval, self._check_unread
            )

    def _check_unread(self) -> None:
        self._unread_timer = None
        unread, connection = self._connection.unread, self._connection.connection
        blamed = unread.check(self._loop.time(), held_up=connection.held_up)
        if blamed is not None:
            blamed.on_blame()
        if unread:
            self._watch_unread()

    def _on_control(self, event: ControlEvent) -> None:
        match event:
            case OtherMessage(text):
                self._transfers.receive_message(text)
            case ChannelUnread(stream):
                if (channel := self._connection.channels.get(stream)) is not None:
                    channel.closed_as_unread()
            case ByeReceived(code, message):
                self._end(error_of_goodbye(code, message))
            case PeerSilent(after):
                self._end(
                    LinkLost(
                        "The link broke off: the other side has not answered for "
                        f"{after:g} seconds."
                    )
                )
