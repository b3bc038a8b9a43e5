"""For all tests: in continuous integration nothing is skipped in silence.

A skip is for a developer's machine that lacks a tool or the recordings; `.ci/run` brings all of them, so a skip there is a fault.
"""

from __future__ import annotations

import os
import signal

import pytest


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """With CI=true and recordings at hand, a skipped test fails the run; the summary names it and its reason (-ra)."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if os.environ.get("CI") == "true" and os.environ.get("NOCIBAND_DATA") and skipped and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter.write_line(f"{len(skipped)} skipped: in continuous integration every test runs", red=True)


def pytest_configure() -> None:
    """A run in the background or under nohup ignores SIGINT and SIGHUP, and so would all that it starts: tests of how a program
    ends need them heard. Here they are caught, which an exec turns into the default."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)
