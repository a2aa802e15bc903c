"""Draws the screen of ``opendump top``: tables in what height there is, the last messages, one message whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from decoder.output import top_tables
from decoder.output.text import TextOutput
from decoder.output.tree import TreeOutput

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from decoder.formatting.table import Table
    from decoder.message import Gap, Message
    from decoder.statistics.activity import Activity
    from decoder.vocabulary import EnumStyle

__all__ = ["KEYS", "TopScreen", "heights"]

KEYS = "p pause  f filter  \N{UPWARDS ARROW}\N{DOWNWARDS ARROW} choose  Enter whole message  w save packets  q quit"
_LEAST_ROWS = 2
"""Rows that a table gets at least if it is shown at all."""
_LEAST_MESSAGES = 3
_MESSAGES_SHARE = 4
"""The list of messages gets one line of so many of the screen, at least `_LEAST_MESSAGES`."""
_TABLES = (
    top_tables.connections,
    top_tables.orders,
    top_tables.findings,
    top_tables.protocols,
    top_tables.calls,
    top_tables.subscriptions,
)
"""The tables from top to bottom; where there is no room for all, the first ones are shown."""


@dataclass
class Head:
    """Holds what the first line says."""

    source: str
    time: str
    packets: int
    messages: int
    dropped: int | None
    gaps: int
    paused: bool = False
    filter: str = ""

    def text(self) -> str:
        """Returns the line."""
        dropped = "not told yet" if self.dropped is None else f"{self.dropped:,}"
        parts = [
            f"opendump top {self.source}",
            *["PAUSED"] * self.paused,
            self.time,
            f"packets {self.packets:,}",
            f"messages {self.messages:,}",
            f"dropped {dropped}",
            f"gaps {self.gaps:,}",
        ]
        # The filter comes last because its length has no bound: on a narrow terminal it is cut, not the counts.
        if self.filter:
            parts.append(f"filter {self.filter}")
        return "  ".join(parts)


class TopScreen:
    """Draws an `Activity`.

    `chosen` is the message that Enter shows, counted from the newest one; `whole` the message that is shown whole;
    `line` what the last line says.
    """

    def __init__(
        self,
        activity: Activity,
        *,
        utc: bool = False,
        color: bool = True,
        enums: EnumStyle = "sdk",
        show_secrets: bool = False,
    ) -> None:
        self.activity = activity
        self.match: Callable[[Message | Gap], bool] | None = None
        """Selects the messages in the list."""
        self.chosen = 0
        self.whole: Message | Gap | None = None
        self.scroll = 0
        """Lines of the whole message that are above the screen."""
        self.line = ""
        self._lines = TextOutput(enums, show_secrets=show_secrets, utc=utc, color=False)
        self._tree = TreeOutput(enums, show_secrets=show_secrets, utc=utc, color=False)
        self._color = color

    def messages(self) -> list[Message | Gap]:
        """Returns the last messages that are selected, the newest last."""
        match = self.match
        return [item for item in self.activity.recent if match is None or match(item)]

    def draw(self, head: Head, now_ns: int, width: int, height: int) -> RenderableType:
        """Returns the screen for a terminal of this size: never more than `height` lines of `width` columns."""
        from rich.console import Group
        from rich.text import Text

        if self.whole is not None:
            return self._draw_whole(width, height)
        parts: list[RenderableType] = [_line(head.text(), "reverse", width)]
        parts += [_line(text, "bold", width) for text in top_tables.gateway_lines(self.activity, now_ns)][:3]
        tables = [make(self.activity, now_ns) for make in _TABLES]
        room = height - len(parts) - 1
        wanted = [len(table.rows) for table in tables]
        rows = heights(wanted, room - 1 - max(_LEAST_MESSAGES, height // _MESSAGES_SHARE))
        for table, count in zip(tables, rows, strict=True):
            if count:
                parts += self._table(table, count, width)
                room -= count + 2
        parts += self._message_list(width, room)
        last = Text(self.line or KEYS, style="" if self.line else "dim", no_wrap=True, overflow="ellipsis")
        return Group(*parts, last)

    def _table(self, table: Table, count: int, width: int) -> list[RenderableType]:
        from decoder.formatting.rich_table import rich_table

        hidden = len(table.rows) - count
        table.rows = table.rows[:count]
        title = f"{table.title} ({hidden:,} more)" if hidden else table.title
        return [_line(title, "bold", width), rich_table(table, width, compact=True)]

    def _message_list(self, width: int, room: int) -> list[RenderableType]:
        count = max(0, room - 1)
        items = self.messages()
        self.chosen = min(self.chosen, max(0, len(items) - 1))
        end = len(items) - max(0, self.chosen - count + 1)
        shown = items[max(0, end - count) : end]
        lines = self._lines.render(shown).splitlines()
        chosen = len(items) - 1 - self.chosen - max(0, end - count)
        parts = [_line("Messages", "bold", width)] if room > 0 else []
        for place, text in enumerate(lines):
            parts.append(_line(text, "reverse" if place == chosen else "", width))
        return parts + [_line("", "", width)] * (count - len(lines))

    def _draw_whole(self, width: int, height: int) -> RenderableType:
        from rich.console import Group

        assert self.whole is not None
        lines = self._tree.render([self.whole]).rstrip("\n").splitlines()
        count = height - 1
        self.scroll = max(0, min(self.scroll, len(lines) - count))
        shown = lines[self.scroll : self.scroll + count]
        more = len(lines) - self.scroll - len(shown)
        foot = "Esc back  \N{UPWARDS ARROW}\N{DOWNWARDS ARROW} scroll" + f"  ({more:,} more lines)" * bool(more)
        body = [_line(text, "bold" if not place + self.scroll else "", width) for place, text in enumerate(shown)]
        body += [_line("", "", width)] * (count - len(shown))
        return Group(*body, _line(foot, "dim", width))


def heights(wanted: Sequence[int], room: int) -> list[int]:
    """Returns how many rows each table gets of `room` lines; a table takes two more for its title and its heads.

    The first tables come first: one that would not have `_LEAST_ROWS` rows (or all of its rows) is not shown.  Then
    each gets a row in turn.
    """
    given = [0] * len(wanted)
    for place, count in enumerate(wanted):
        least = min(count, _LEAST_ROWS)
        if least and room >= least + 2:
            given[place] = least
            room -= least + 2
    while room > 0:
        short = [place for place, count in enumerate(wanted) if 0 < given[place] < count]
        if not short:
            break
        for place in short[:room]:
            given[place] += 1
        room -= len(short[:room])
    return given


def _line(text: str, style: str, width: int) -> RenderableType:
    from rich.text import Text

    line = Text(text, style=style, no_wrap=True, overflow="ellipsis", end="\n")
    line.truncate(width, overflow="ellipsis", pad=style == "reverse")
    return line
