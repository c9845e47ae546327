"""A bounded log of events that strangers cause (floor 2).

A line costs a stranger a few bytes, and the disk some hundreds. So each kind of line has a rate for
each address and one for all together; omitted lines are counted, and the next line tells how many.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, MutableMapping
from typing import Any, Final

from .rate_limit import AddressRates, address_key

__all__ = ["HttpLog", "ThrottledLog"]

_TOGETHER: Final = "all"
_LONGEST: Final = 300


class ThrottledLog:
    """Logs lines of certain kinds, a bounded number per minute.

    Args:
        logger: The logger that gets the lines.
        clock: Seconds, monotonic.
        per_minute: Lines of one kind from one address.
        in_all: Lines of one kind.
    """

    def __init__(
        self,
        logger: logging.Logger,
        clock: Callable[[], float],
        *,
        per_minute: int = 60,
        in_all: int = 600,
    ) -> None:
        self._logger = logger
        self._clock = clock
        self._per_address = AddressRates(per_minute, capacity=10_000)
        self._together = AddressRates(in_all)
        self._left_out: Counter[str] = Counter()

    def info(self, kind: str, address: str | None, message: str, *values: object) -> None:
        """Log an event."""
        self.log(logging.INFO, kind, address, message, *values)

    def warning(self, kind: str, address: str | None, message: str, *values: object) -> None:
        """Log a warning for the operator."""
        self.log(logging.WARNING, kind, address, message, *values)

    def log(
        self,
        level: int,
        kind: str,
        address: str | None,
        message: str,
        *values: object,
        exc_info: BaseException | None = None,
    ) -> None:
        """Log one line, or count it as omitted.

        Args:
            level: Level of the line, as in `logging`.
            kind: Lines of one kind are counted together.
            address: Address of the client that caused it; None if no client did.
            message: Format of the line, as in `logging`.
            *values: Values for the format.
            exc_info: An exception whose traceback follows.
        """
        if not self._logger.isEnabledFor(level):
            return
        now = self._clock()
        key = f"{kind} {address_key(address)}"
        if self._per_address.take(key, now) > 0 or self._together.take(f"{kind} {_TOGETHER}", now):
            self._left_out[kind] += 1
            return
        left_out = self._left_out.pop(kind, 0)
        rest = f" ({left_out} more lines of this kind were left out)" if left_out else ""
        text = _one_line(message % values if values else message)
        self._logger.log(level, "%s%s", text, rest, exc_info=exc_info)


def _one_line(text: str) -> str:
    """Escape and shorten a text that a stranger chose."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:_LONGEST])


class HttpLog(logging.LoggerAdapter[logging.Logger]):
    """aiohttp's log of requests that it could not read, or whose handlers raised.

    The former are strangers' doing: one short line. The latter are ours: with the traceback.
    """

    def __init__(self, log: ThrottledLog, logger: logging.Logger) -> None:
        super().__init__(logger, {})
        self._lines = log

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Return both as they are."""
        return msg, kwargs

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a line of aiohttp's, shortened and bounded in number."""
        from aiohttp.http_exceptions import HttpProcessingError

        error = kwargs.get("exc_info")
        address = args[0] if args and isinstance(args[0], str) else None
        if isinstance(error, HttpProcessingError | ConnectionError):
            # In the latter case the client left while it was being answered.
            what = type(error).__name__
            self._lines.info("malformed", address, "%s: not served: %s", address, what)
        elif level >= logging.WARNING:
            text = str(msg) % args if args else str(msg)
            cause = error if isinstance(error, BaseException) else None
            self._lines.log(level, "fault", address, "%s", text, exc_info=cause)
