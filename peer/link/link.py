"""Links: what a program holds of another peer (floor 3)."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Self

from peer.channel.async_queue import AsyncQueue
from peer.channel.channel import Channel
from peer.channel.chat.session import ChatSession
from peer.config import ChannelParameters, LinkConfig, Priority
from peer.errors import LinkClosed, LinkEnded, LinkLost, PeerError
from peer.transfer.disk import Sources
from peer.transfer.engine import IncomingTransfer, OutgoingTransfer, Transfers
from peer.types import NetworkPath, PeerInfo

from .connection import FIRST_FREE_ID, LinkConnection, goodbye
from .control import ByeReceived, ChannelUnread, HelloReceived, OtherMessage, PeerSilent

__all__ = ["Link"]

logger = logging.getLogger(__name__)


class _Port:
    """The link, as `peer.transfer.engine` sees it."""

    def __init__(self, generation: LinkConnection) -> None:
        self.control = generation.control_channel
        self.blocks = generation.blocks_channel
        self._connection = generation.connection

    @property
    def max_message_size(self) -> int:
        return self._connection.max_message_size


class Link:
    """The connection to one other peer: chat, files, and channels of one's own.

    Get one from `Room.link` or by iterating over a `Room`; it is connected, encrypted end to end,
    and the other side has said hello.

    Attributes:
        peer: who is at the other end.
        sas: four words, the same at both ends unless somebody is in between; two people can
            compare them by voice.
        authenticated: whether the other side has proved that it knows the code or the password;
            if not, comparing `sas` is the only proof.
        offerer: whether our side made the offer; the two ends always differ in it.
        chat: text between the two people.
    """

    def __init__(
        self,
        generation: LinkConnection,
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
        self._generation = generation
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._path = generation.connection.path
        self._timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        self._over = asyncio.Event()
        self._is_closing = self._asked_to_close = False
        self._closing: asyncio.Task[None] | None = None
        self._when_over: list[Callable[[], None]] = []
        self.chat = ChatSession(generation.chat_channel, on_fault=self._end)
        self._transfers = Transfers(_Port(generation), offerer=offerer)
        generation.connection.on_ended = self._on_ended
        generation.on_waiting = self._watch_unread
        generation.control_channel._on_room = self._pump
        generation.control_channel._deliver_to(self._on_control)
        generation.blocks_channel._deliver_to(self._transfers.receive_block)
        self._pump()
        if generation.unread:
            self._watch_unread()
        if generation.control_channel.closed:
            self._on_ended(generation.reason())

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return f"<Link to {self.peer.id} ({self.peer.name!r}), {state}>"

    # What it is

    @property
    def closed(self) -> bool:
        """Whether it is over, for whatever reason."""
        return self._generation.end is not None

    @property
    def path(self) -> NetworkPath | None:
        """The network path in use; when the link is over, the last one."""
        self._path = self._generation.connection.path or self._path
        return self._path

    @property
    def max_message_size(self) -> int:
        """Largest message the other side accepts on a channel, in bytes."""
        return self._generation.connection.max_message_size

    @property
    def round_trip(self) -> float | None:
        """Seconds the last ping on an idle link took; None before the first."""
        return self._generation.control.round_trip

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
            label: its name, ASCII.
            ordered: whether messages arrive in the order in which they were sent.
            max_retransmits: how often a lost message is sent again; None: until it arrives.
            max_lifetime: seconds after which a message is given up; None: never.
            protocol: name of what is spoken on it, ASCII.
            priority: share of the path beside other channels, a `Priority` or a number in 1..65535.
            id: a stream number that both sides open by themselves, from 3 on; None: the other side
                is told, and gets the channel from `channels`.

        Raises:
            ValueError: an argument makes no sense, or the id is taken.
            ChannelError: there are as many channels as there can be, or the other side closed
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
        channel = self._generation.channel(parameters)
        try:
            await channel.opened()
        except asyncio.CancelledError:
            channel._abandon()
            raise
        self._generation.keep(channel)
        return channel

    def channels(self) -> AsyncQueue[Channel]:
        """The channels that the other side opens, as they come.

        The iteration ends when the link is closed, and raises `LinkLost` when it breaks.
        """
        return AsyncQueue(self._generation.incoming)

    # Files

    async def send_files(
        self,
        paths: Sources | str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        strict: bool = False,
    ) -> OutgoingTransfer:
        """Offer files and folders to the other side; returns when they are listed.

        Iterate over the result for its progress, and await its `done` for their arrival. What
        cannot be read, or is no file, folder or link, is left out: see its `left_out`.

        Args:
            paths: Files and folders, or a listing of them from `Sources.of`. Of a listing, files
                that changed or vanished since are left out, as during the transfer.
            strict: Refuse to leave anything out; a listing has its own `Sources.strict`.

        Raises:
            DiskError: a path does not exist, nothing is left to send, or (when strict) something
                would be left out.
            TransferError: they do not make a transfer.
            RuntimeError: The listing was sent before.
            LinkEnded: The link broke (`LinkLost`) or is closed (`LinkClosed`).
        """
        return await self._transfers.send(paths, strict=strict)

    def transfers(self) -> AsyncIterator[IncomingTransfer]:
        """What the other side offers, as it comes; accept or decline each.

        The iteration ends when the link is closed, and raises `LinkLost` when it breaks.
        """
        return aiter(self._transfers)

    # The end

    async def close(self, code: str = "bye", message: str = "") -> None:
        """Close in order: first what was sent arrives, then the goodbye.

        That may take as long as something does arrive; `Timeouts.close` bounds the standstill.

        Args:
            code: a word for programs that tells the other side why.
            message: a sentence for its person.
        """
        self._asked_to_close = True
        self._start_closing(code, message)
        assert self._closing is not None
        await asyncio.shield(self._closing)

    async def wait_closed(self) -> None:
        """Wait until the link is over.

        Raises:
            LinkLost: it broke; not when either side closed it.
        """
        await self._over.wait()
        self._raise_if_lost()

    def add_done_callback(self, callback: Callable[[], None]) -> None:
        """Have a function called when the link is over; at once if it is."""
        if self.closed:
            callback()
        else:
            self._when_over.append(callback)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    # private

    def _start_closing(self, code: str = "", message: str = "") -> None:
        if not self._is_closing:
            self._is_closing = True  # an eager task (Python 3.12) ends up here before it is kept
            self._closing = asyncio.create_task(self._close(code, message), name="close link")

    async def _close(self, code: str, message: str) -> None:
        generation = self._generation
        if generation.end is None:
            await self._transfers.close()
            patience = self._config.timeouts.close
            try:
                await generation.connection.flush(patience)
                generation.control.bye(code, message)
                self._pump()
                # From here on the other side may close first, and that is in order.
                self._end(LinkClosed())
                await generation.connection.flush(patience)
            except TimeoutError:
                logger.info("the other side did not take everything before the link was closed")
        self._end(LinkClosed())
        await self._transfers.close(generation.end)
        await generation.close()
        self._over.set()

    def _end(self, error: PeerError) -> None:
        """The link is over, from now on."""
        if self._generation.end is not None:
            return
        if self._asked_to_close and not isinstance(error, LinkClosed):
            error = LinkClosed()  # our own wish comes first, whatever becomes of the last words
        _ = self.path  # while it can still be seen
        self._generation.end = error
        if self._timer is not None:
            self._timer.cancel()
        if self._unread_timer is not None:
            self._unread_timer.cancel()
        self.chat._stop(error)
        self._transfers.abort(error)
        self._generation.incoming.end(error)
        for callback in self._when_over:
            callback()
        self._when_over.clear()
        self._start_closing()

    def _check_open(self) -> None:
        if self._generation.end is not None:
            raise self._generation.end

    def _raise_if_lost(self) -> None:
        end = self._generation.end
        if end is not None and not isinstance(end, LinkClosed):
            raise end

    def _on_ended(self, error: PeerError) -> None:
        """The connection is over without a goodbye."""
        self._end(error if isinstance(error, LinkEnded) else LinkLost(str(error)))

    def _watch_unread(self) -> None:
        """Something waits to be received: see to it that this holds nothing up for ever."""
        if self._unread_timer is None and not self.closed:
            self._unread_timer = self._loop.call_later(
                self._generation.unread.interval, self._check_unread
            )

    def _check_unread(self) -> None:
        self._unread_timer = None
        generation = self._generation
        blamed = generation.unread.check(self._loop.time(), held_up=generation.connection.held_up)
        if blamed is not None:
            blamed.on_blame()
        if generation.unread:
            self._watch_unread()

    def _on_control(self, message: str | bytes) -> None:
        self._generation.control.receive_message(message, self._loop.time())
        self._pump()

    def _on_timer(self) -> None:
        self._timer = None
        self._generation.control.handle_timer(self._loop.time())
        self._pump()

    def _pump(self) -> None:
        """Send what is to be sent, tell what has happened, set the timer."""
        control = self._generation.control
        self._generation.flush_control()
        while (event := control.next_event()) is not None:
            match event:
                case OtherMessage(text):
                    self._transfers.receive_message(text)
                case ChannelUnread(number):
                    if (channel := self._generation.channels.get(number)) is not None:
                        channel._unread_there()
                case ByeReceived(code, message):
                    self._end(goodbye(code, message))
                case PeerSilent():
                    self._end(
                        LinkLost(
                            "The link broke off: the other side has not answered for "
                            f"{self._config.lost_after:g} seconds."
                        )
                    )
                case HelloReceived():
                    pass  # the second; the first made this link
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = control.get_timer()
        if due is not None and not self.closed:
            self._timer = self._loop.call_at(due, self._on_timer)
