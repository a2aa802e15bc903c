"""Fixtures of the tests of commands."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.growing import Live


@pytest.fixture
def live(request: pytest.FixtureRequest) -> Iterator[Live]:
    running = Live(*getattr(request, "param", ()))
    yield running
    running.watchdog.cancel()
    running.process.kill()
    running.process.wait()
    for pipe in (running.stdin, running.stdout, running.process.stderr):
        if pipe is not None:
            pipe.close()
