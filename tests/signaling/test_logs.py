"""Strangers write a bounded number of lines."""

from __future__ import annotations

import logging

import pytest
from aiohttp.http_exceptions import BadStatusLine

from signaling.logs import HttpLog, ThrottledLog


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def logger(caplog: pytest.LogCaptureFixture) -> logging.Logger:
    caplog.set_level(logging.INFO, logger="signaling.test")
    return logging.getLogger("signaling.test")


def test_lines_of_one_kind_and_address_are_limited_and_the_rest_counted(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    log = ThrottledLog(logger, clock, per_minute=2, in_all=100)
    for _ in range(1000):
        log.info("refused", "192.0.2.1", "%s refused", "192.0.2.1")
    assert caplog.messages == ["192.0.2.1 refused"] * 2
    # Others, and lines of other kinds, are not shut out by that.
    log.info("refused", "192.0.2.2", "another")
    log.info("opened", "192.0.2.1", "opened")
    assert caplog.messages[2:] == ["another (998 more lines of this kind were left out)", "opened"]
    clock.now = 31.0
    log.info("refused", "192.0.2.1", "again")
    log.info("refused", "192.0.2.1", "again")
    assert caplog.messages[4:] == ["again"]


def test_all_addresses_together_are_limited_too(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    log = ThrottledLog(logger, Clock(), per_minute=10, in_all=50)
    for number in range(10_000):
        log.info("refused", f"2001:db8:{number:x}::1", "refused")
    assert len(caplog.messages) == 50


def test_a_line_is_one_line_and_not_endless(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    log = ThrottledLog(logger, Clock())
    log.info("request", None, "%s", "a\r\nforged\x1b[2J\u2028" + "x" * 10_000)
    (message,) = caplog.messages
    assert message.startswith(r"a\r\nforged\x1b[2J\u2028xxx")
    assert len(message) < 400


def test_what_aiohttp_cannot_read_is_no_error_of_ours(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    log = HttpLog(ThrottledLog(logger, Clock(), per_minute=3), logger)
    for _ in range(100):
        try:
            raise BadStatusLine("\x00\x01")
        except BadStatusLine as error:
            log.exception("Error handling request from %s", "192.0.2.1", exc_info=error)
    assert caplog.messages == ["192.0.2.1: not served: BadStatusLine"] * 3
    assert all(record.exc_info is None for record in caplog.records)


def test_a_fault_of_ours_comes_with_its_traceback(
    logger: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    log = HttpLog(ThrottledLog(logger, Clock()), logger)
    log.exception("Error handling request from %s", "192.0.2.1", exc_info=ValueError("ours"))  # noqa: LOG004
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert record.exc_info[0] is ValueError
