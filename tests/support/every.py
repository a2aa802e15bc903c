"""Makes one test of a property that holds for every message type, protocol or enum."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["for_every"]

_SHOWN = 20
"""Failures of one test that are shown; all of them are counted."""
_LINES = 12
"""Lines of each."""


def for_every(
    cases: Callable[[], Iterable[Any]], name: Callable[[Any], str] = str
) -> Callable[[Callable[..., None]], Callable[[], None]]:
    """Turns a check of one case into a test of all: it goes on after a failure, and reports all of them by name.

    A test for each case would be a thousand tests of one property, of which a change breaks all at once.

    :param cases: returns the cases; a tuple is several arguments
    :param name: returns the name of a case in the report
    """

    def decorate(check: Callable[..., None]) -> Callable[[], None]:
        count = len(inspect.signature(check).parameters)

        def test() -> None:
            failed, total = [], 0
            for case in cases():
                total += 1
                try:
                    check(*case) if count > 1 else check(case)
                except Exception as error:
                    text = f"{type(error).__name__}: {error}".splitlines()
                    failed.append("\n    ".join([name(case), *text[:_LINES]]))
            assert total, "there is no case"
            shown = "\n".join(failed[:_SHOWN])
            assert not failed, f"{len(failed)} of {total} fail\n{shown}"

        test.__name__, test.__doc__, test.__module__ = check.__name__, check.__doc__, check.__module__
        return test

    return decorate
