"""Drives the control machine on its channel: messages, timer and events (floor 3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from peer.channel.link_channel import LinkChannel
from peer.config import LinkConfig
from peer.errors import LinkClosed, PeerError, PeerTimeout, ProtocolError, VerificationFailed

from .control import ByeReceived, Control, ControlEvent, HelloReceived

__all__ = ["VERIFICATION_FAILED", "ControlChannel", "error_of_goodbye"]

VERIFICATION_FAILED = "verification_failed"
"""`bye` code: the revealed nonce does not match its commitment."""


def error_of_goodbye(code: str, message: str) -> PeerError:
    """Return the error that a `bye` of the other side stands for."""
    if code == VERIFICATION_FAILED:
        return VerificationFailed("The other side found that the set-up was tampered with.")
    # The prefix keeps the other side from speaking in our name.
    said = f"The other side closed the link: {message}" if message else ""
    # `closed` is what we say of ourselves.
    return LinkClosed(
        said or "The other side closed the link.", "bye" if code == "closed" else code
    )


class ControlChannel:
    """The control channel of one connection: first the hello, then everything else.

    Attributes:
        channel: The data channel; transfers send their messages on it, too.
    """

    def __init__(self, channel: LinkChannel, config: LinkConfig) -> None:
        """Take over the channel; nothing is read before `greet`."""
        self.channel = channel
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._machine = Control(config, self._loop.time())
        self._on_event: Callable[[ControlEvent], None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        channel.on_room = self._flush

    @property
    def round_trip(self) -> float | None:
        """Seconds that the last answered ping took; None before the first."""
        return self._machine.round_trip

    def heard(self) -> None:
        """Note a sign of life of the other side, on whatever channel."""
        self._machine.heard(self._loop.time())

    def doubt(self) -> None:
        """Ask the other side whether it is there: the server says that it left."""
        self._machine.doubt(self._loop.time())
        self._pump()

    async def greet(self, name: str, agent: str, reveal: str | None) -> HelloReceived:
        """Say hello, and wait for the hello of the other side.

        Args:
            name: Our own name.
            agent: Name and version of this program.
            reveal: Our nonce, on a link without a password.

        Raises:
            LinkEnded: The connection broke (`LinkLost`), or the other side said goodbye
                (`LinkClosed`).
            ProtocolError: Another message came first.
            PeerTimeout: Nothing came in `Timeouts.hello` seconds.
        """
        self._machine.hello(name, agent, reveal)
        self._flush()
        try:
            async with asyncio.timeout(self._config.timeouts.hello):
                while True:
                    message = await self.channel.receive()
                    self._machine.receive_message(message, self._loop.time())
                    self._flush()
                    match self._machine.next_event():
                        case HelloReceived() as hello:
                            return hello
                        case ByeReceived(code, text):
                            raise error_of_goodbye(code, text)
                        case None:
                            pass
                        case _:
                            raise ProtocolError("The other side did not say hello first.")
        except TimeoutError:
            raise PeerTimeout("hello") from None

    def start(self, on_event: Callable[[ControlEvent], None]) -> None:
        """Hand over all further events, those of messages that already wait first."""
        self._on_event = on_event
        self.channel.on_room = self._pump
        self.channel.deliver_to(self._receive)
        self._pump()

    def stop(self) -> None:
        """Stop the timer; the connection is over."""
        self._on_event = None
        self._set_timer(None)

    def tell_unread(self, stream: int) -> None:
        """Tell the other side that our program does not read a channel, which is being closed."""
        self._machine.unread(stream)
        self._flush()

    def say_goodbye(self, code: str, message: str = "") -> None:
        """Send the last message."""
        self._machine.bye(code, message)
        self._flush()
        self._set_timer(None)

    def _receive(self, message: str | bytes) -> None:
        self._machine.receive_message(message, self._loop.time())
        self._pump()

    def _handle_timer(self) -> None:
        self._timer = None
        self._machine.handle_timer(self._loop.time())
        self._pump()

    def _pump(self) -> None:
        """Send the due messages, report events, and set the timer."""
        self._flush()
        while self._on_event is not None and (event := self._machine.next_event()) is not None:
            self._on_event(event)
        self._set_timer(None if self._on_event is None else self._machine.get_timer())

    def _set_timer(self, due: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if due is None else self._loop.call_at(due, self._handle_timer)

    def _flush(self) -> None:
        """Send the due messages; answers only if the channel has room."""
        for message in self._machine.messages_to_send(replies=self.channel.has_room):
            if not self.channel.closed:
                self.channel.send_now(message)
