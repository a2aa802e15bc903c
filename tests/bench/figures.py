"""The figures of the benchmark: what is compared, what is wanted, what came out."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .generate import Files
from .process import ToolError, Usage, available_cores, median_ratio
from .runner import Runner
from .tools import Command

_MB = 1_000_000
_ROTATED = 8
"""Files that a day is rotated into."""
_LINEAR = 1.15
"""What still counts as the same time per message: this machine's noise, not a tool's growth."""


ROWS = (
    "text",
    "json-lines",
    "tshark-json",
    "encrypted",
    "memory",
    "size",
    "connections",
    "start",
    "jobs",
    "stats",
    "annotate",
    "tables",
    "workers",
    "where",
    "scapy",
    "tcp-session",
)
"""The rows in the order of the table, each measured by the method of `Figures` of that name."""


@dataclass(frozen=True)
class Sizes:
    """Messages in the captures."""

    small: int
    day: int
    large: int
    json: int = 20_000
    """For tshark's JSON, which is 60 KB a message."""
    tcp_session: int = 2_000
    """For Scapy's TCPSession, which takes a millisecond for each packet."""


QUICK = Sizes(2_000, 20_000, 60_000)
FULL = Sizes(20_000, 200_000, 2_000_000)


@dataclass(frozen=True)
class Figure:
    """A line of the table."""

    what: str
    target: str
    reached: str
    met: bool | None = None
    """None where there is no target."""
    detail: str = ""


def _cpu(used: Sequence[Usage]) -> list[float]:
    return [each.cpu for each in used]


def _median_cpu(used: Sequence[Usage]) -> float:
    return statistics.median(_cpu(used))


def _peak(used: Sequence[Usage]) -> int:
    return max(each.peak for each in used)


class Figures:
    """Measures the figures; each method is a row of the benchmark and may raise ToolError."""

    def __init__(self, runner: Runner, sizes: Sizes) -> None:
        self._runner = runner
        self._tools = runner.tools
        self._sizes = sizes

    def row(self, name: str) -> list[Figure]:
        """Measure the row of that name.  Raises ToolError."""
        measure: Callable[[], list[Figure]] = getattr(self, name.replace("-", "_"))
        return measure()

    def _times_less(self, what: str, ours: Command, theirs: Command, target: float | None) -> Figure:
        """CPU time of another tool against ours."""
        used_ours, used_theirs = self._runner.measure(ours, theirs)
        ratio = median_ratio(_cpu(used_theirs), _cpu(used_ours))
        wanted = f"at least {target:g} times less" if target else ""
        met = ratio >= target if target else None
        return Figure(
            what, wanted, f"{ratio:.1f} times less", met, self._detail((ours, used_ours), (theirs, used_theirs))
        )

    def _at_most(self, what: str, ours: Command, floor: Command, target: float) -> Figure:
        """CPU time of ours as a multiple of something else."""
        used_ours, used_floor = self._runner.measure(ours, floor)
        ratio = median_ratio(_cpu(used_ours), _cpu(used_floor))
        detail = self._detail((ours, used_ours), (floor, used_floor))
        return Figure(what, f"at most {target:g} times", f"{ratio:.2f} times", ratio <= target, detail)

    def _detail(self, *measured: tuple[Command, Sequence[Usage]]) -> str:
        """Of each command the CPU time, the messages it decodes in a second, and how much of them is right."""
        parts = []
        for command, used in measured:
            cpu = _median_cpu(used)
            score = self._runner.check(command)
            rate = f", {command.files.count('messages') / cpu:,.0f} messages/s" if command.files else ""
            right = f", {score}" if score else ""
            parts.append(f"{command.name} {cpu:.2f} s{rate}{right}, {_peak(used) / _MB:.0f} MB")
        return "; ".join(parts)

    def text(self) -> list[Figure]:
        files = self._runner.day(self._sizes.day)
        return [
            self._times_less(
                f"text lines against tshark + Lua + protobuf `-T fields`, CPU, {core}",
                self._tools.text(files, pure=pure),
                self._tools.tshark_fields(files),
                target,
            )
            for core, pure, target in (("compiled core", False, 40), ("pure Python", True, 18))
        ]

    def json_lines(self) -> list[Figure]:
        files = self._runner.day(self._sizes.day)
        return [
            self._times_less(
                f"JSON Lines against dpkt + MessageToJson, CPU, {core}",
                self._tools.json_lines(files, pure=pure),
                self._tools.dpkt_json(files),
                target,
            )
            for core, pure, target in (("compiled core", False, 12), ("pure Python", True, 4))
        ]

    def tshark_json(self) -> list[Figure]:
        files = self._runner.day(self._sizes.json)
        what = "JSON Lines against tshark `-T json`, CPU"
        return [self._times_less(what, self._tools.json_lines(files), self._tools.tshark_json(files), 60)]

    def encrypted(self) -> list[Figure]:
        size = self._sizes.day
        clear = self._runner.day(size)
        kinds = (
            ("FTAES_ECB", self._runner.day(size, encryption="ftaes")),
            ("AES_CBC", self._runner.day(size, encryption="cbc")),
        )
        return [
            self._at_most(
                f"{name} against clear, text lines, CPU", self._tools.text(files), self._tools.text(clear), 1.3
            )
            for name, files in kinds
        ]

    def memory(self) -> list[Figure]:
        day, large = self._runner.day(self._sizes.day), self._runner.day(self._sizes.large)
        figures = []
        kinds: tuple[tuple[str, Callable[[Files], Command]], ...] = (
            ("text lines", self._tools.text),
            ("JSON Lines", self._tools.json_lines),
            ("JSON Lines with two jobs, the larger process", lambda files: self._tools.json_lines(files, 2, pure=True)),
        )
        for name, command in kinds:
            peaks = [_peak(used) for used in self._runner.measure(command(day), command(large), rounds=1)]
            what = f"peak memory, {name}, {self._sizes.day:,} against {self._sizes.large:,} messages"
            growth = peaks[1] / peaks[0] - 1
            reached = f"{peaks[0] / _MB:.0f} and {peaks[1] / _MB:.0f} MB"
            met = max(peaks) <= 100 * _MB and abs(growth) <= 0.1
            figures.append(Figure(what, "at most 100 MB, within 10 %", reached, met, f"{growth:+.1%}"))
        return figures

    def _per_message(self, commands: Sequence[Command]) -> tuple[list[float], str]:
        """Microseconds of CPU for each message, without what it takes to start."""
        tiny = self._tools.text(self._runner.day(100))
        start, *used = self._runner.measure(tiny, *commands)
        costs = [
            (statistics.median(a - b for a, b in zip(_cpu(each), _cpu(start), strict=True)))
            / (command.files.count("messages") if command.files else 1)
            * 1e6
            for command, each in zip(commands, used, strict=True)
        ]
        return costs, ", ".join(f"{cost:.1f}" for cost in costs) + " µs a message beyond the start"

    def size(self) -> list[Figure]:
        sizes = self._sizes.small, self._sizes.day, self._sizes.large
        costs, detail = self._per_message([self._tools.text(self._runner.day(size)) for size in sizes])
        what = f"time against size: {' → '.join(f'{size:,}' for size in sizes)} messages"
        spread = max(costs) / min(costs)
        return [Figure(what, "linear", f"{spread:.2f} times from the least to the most", spread <= _LINEAR, detail)]

    def connections(self) -> list[Figure]:
        many = min(1_000, self._sizes.day // 200)
        days = [self._runner.day(self._sizes.day, connections) for connections in (1, many)]
        costs, detail = self._per_message([self._tools.text(files) for files in days])
        ratio = costs[1] / costs[0]
        return [Figure(f"1 → {many:,} connections", "at most 1.1 times", f"{ratio:.2f} times", ratio <= 1.1, detail)]

    def start(self) -> list[Figure]:
        floor = self._tools.python()
        decode = self._tools.text(self._runner.day(100))
        cases = (
            ("`opendump decode` of 100 messages beyond `python -c pass`", decode, 0.12),
            ("`opendump --help` beyond `python -c pass`", self._tools.opendump("--help"), 0.04),
        )
        figures = []
        for what, command, target in cases:
            used, nothing = self._runner.measure(command, floor, rounds=5 * self._runner.rounds)
            wall = statistics.median(a.wall - b.wall for a, b in zip(used, nothing, strict=True))
            cpu = statistics.median(a.cpu - b.cpu for a, b in zip(used, nothing, strict=True))
            wanted = f"at most {target:g} s more"
            figures.append(Figure(what, wanted, f"{wall:.2f} s more", wall <= target, f"{cpu:.2f} s CPU more"))
        return figures

    def jobs(self) -> list[Figure]:
        if available_cores() < 2:
            raise ToolError("this machine has one core")
        files = self._runner.day(self._sizes.day)
        one, two = (self._tools.json_lines(files, jobs, pure=True) for jobs in (1, 2))
        same = self._runner.digest(one) == self._runner.digest(two)
        if not same:
            self._runner.faults.append("two jobs print something else than one")
        used_one, used_two = self._runner.measure(one, two)
        gain = median_ratio([each.wall for each in used_one], [each.wall for each in used_two])
        walls = [statistics.median(each.wall for each in used) for used in (used_one, used_two)]
        detail = f"{walls[0]:.2f} s and {walls[1]:.2f} s; output {'the same' if same else 'DIFFERS'}"
        met = same and gain >= 1.6
        return [
            Figure(
                "two jobs against one, JSON Lines, pure Python, throughput",
                "at least 1.6 times",
                f"{gain:.2f} times",
                met,
                detail,
            )
        ]

    def _not_slower(self, what: str, command: Command) -> Figure:
        assert command.files is not None
        json_lines = self._tools.json_lines(command.files, pure=True)
        return self._at_most(f"{what} against JSON Lines, pure Python, CPU", command, json_lines, 1)

    def stats(self) -> list[Figure]:
        return [self._not_slower("`stats`", self._tools.stats(self._runner.day(self._sizes.day)))]

    def annotate(self) -> list[Figure]:
        try:
            return [self._not_slower("`annotate`", self._tools.annotate(self._runner.day(self._sizes.day)))]
        finally:
            self._tools.annotated.unlink(missing_ok=True)

    def tables(self) -> list[Figure]:
        files = self._runner.day(self._sizes.day)
        ours, json_lines = self._tools.tables(files), self._tools.json_lines(files, pure=True)
        try:
            used_ours, used_json = self._runner.measure(ours, json_lines)
        finally:
            shutil.rmtree(self._tools.exported, ignore_errors=True)
        ratio = median_ratio(_cpu(used_ours), _cpu(used_json))
        detail = self._detail((ours, used_ours), (json_lines, used_json))
        peak = _peak(used_ours)
        return [
            Figure(
                "all tables to Parquet against JSON Lines, pure Python, CPU",
                "at most 1",
                f"{ratio:.2f} times",
                ratio <= 1,
                detail,
            ),
            Figure("memory of that", "at most 320 MB", f"{peak / _MB:.0f} MB", peak <= 320 * _MB),
        ]

    def workers(self) -> list[Figure]:
        files = self._runner.day(self._sizes.day)
        captures = self._runner.rotated(files, _ROTATED)
        one, two = self._tools.dataset(captures, None), self._tools.dataset(captures, 2)
        used_one: list[Usage] = []
        used_two: list[Usage] = []
        for _ in range(self._runner.rounds):
            for command, used in ((one, used_one), (two, used_two)):
                shutil.rmtree(self._tools.exported, ignore_errors=True)
                used += self._runner.measure(command, rounds=1)[0]
        shutil.rmtree(self._tools.exported, ignore_errors=True)
        ratio = median_ratio(_cpu(used_two), _cpu(used_one))
        what = f"a dataset by two workers against tables by one process, {_ROTATED} files of a host, CPU"
        detail = self._detail((two, used_two), (one, used_one))
        return [Figure(what, "at most 1.35", f"{ratio:.2f} times", ratio <= 1.35, detail)]

    def where(self) -> list[Figure]:
        files = self._runner.day(self._sizes.day)
        header = self._tools.where(files, "direction=c2s", lambda seen: seen[1] == "c2s")
        body = self._tools.where(files, "body.retType=RET_ERROR", lambda seen: seen[4] == "-1")
        return [
            self._not_slower("`--where` on the header", header),
            self._not_slower("`--where` on the body", body),
        ]

    def scapy(self) -> list[Figure]:
        files = self._runner.day(self._sizes.small)
        what = "`sniff(session=OpenDSession)` against a bare `sniff`, CPU"
        return [self._at_most(what, self._tools.scapy_session(files), self._tools.scapy_bare(files), 1.5)]

    def tcp_session(self) -> list[Figure]:
        files = self._runner.day(self._sizes.tcp_session)
        what = "text lines against Scapy's TCPSession with a layer for the header, CPU"
        return [self._times_less(what, self._tools.text(files), self._tools.scapy_tcp_session(files), None)]
