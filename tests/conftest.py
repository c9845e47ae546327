"""Rules for every test: none is skipped in CI, Ctrl-C works, each folder's time is shown."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Mapping
from operator import itemgetter

import pytest

LOOP = "PEERLINE_TEST_LOOP"
"""Variable that names the event loop of the tests, one of `LOOPS`; asyncio's own without it."""


def eager_loop() -> asyncio.AbstractEventLoop:
    """A loop whose tasks run up to their first wait where they are made (Python 3.12)."""
    loop = asyncio.new_event_loop()
    loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]  # 3.12
    return loop


def fast_loop() -> asyncio.AbstractEventLoop:
    """A loop of uvloop."""
    import uvloop

    return uvloop.new_event_loop()


LOOPS: Mapping[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "eager": eager_loop,
    "uvloop": fast_loop,
}


if os.environ.get(LOOP):  # the hook must not answer None, and what it answers names every test

    def pytest_asyncio_loop_factories(
        config: pytest.Config, item: pytest.Item
    ) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
        """The loop that the environment names, for every test."""
        name = os.environ[LOOP]
        return {name: LOOPS[name]}


@pytest.fixture(autouse=True)
def own_logging() -> Generator[None, None, None]:
    """A test that sets logging up, as the command does, leaves it to the next one as it was.

    At a level of INFO pytest keeps the records, with the errors in them and all they refer to.
    """
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def pytest_configure() -> None:
    """A shell has its background jobs ignore Ctrl-C, and so would every process that we start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Keep the tests themselves out of every later collection of garbage.

    Many tests collect to prove that nothing is left behind. With some five thousand collected
    tests on the heap that took half of the suite's own processor time.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skipped test is a failed one where CI runs: a missing component must be seen.

    With several processes (`-n`) a report travels as UTF-8, which has no lone surrogates.
    """
    report = yield
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections
    ]
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {item.nodeid}: {report.longrepr}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show where the time went: tests and seconds by folder, fixtures included.

    With several processes (`-n`) the seconds add up to more than the run took.
    """
    tests, seconds = Counter[str](), defaultdict[str, float](float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                folder = report.nodeid.partition("::")[0].rpartition("/")[0]
                tests[folder] += report.when == "setup"
                seconds[folder] += report.duration
    if len(tests) < 2:
        return
    total = sum(seconds.values())
    terminalreporter.section("time by folder")
    for folder, spent in sorted(seconds.items(), key=itemgetter(1), reverse=True):
        terminalreporter.line(f"{spent:7.1f} s {spent / total:5.1%} {tests[folder]:5} {folder}")
    terminalreporter.line(f"{total:7.1f} s {1:5.0%} {tests.total():5} in all")
