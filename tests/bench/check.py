"""Whether what a tool printed is the truth: which messages, of whom, with which retType."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

Seen = tuple[str, str, str, str, str]
"""Client, direction, protocol, serial number and retType: a number, empty for requests, ``?`` where it is not shown."""
Reader = Callable[[Iterable[str], list[str]], Iterator[Seen]]
"""Makes of the lines of an output, and of the clients in the order of their connections, what was seen."""

_GATEWAY_PORT = "11111"
_RET_TYPES = {"RET_OK": "0", "RET_ERROR": "-1", None: ""}
_TEXT = re.compile(
    r" *\d+ \S+ \S+ +(?P<connection>\d+) (?P<arrow>[→←]) (?P<name>\w+) +(?P<kind>\w+) +#(?P<serial>\d+)"
    r"(?: +(?P<ret_type>RET_\w+))?(?P<doubt> +\[(?!request-later\]))?"
)
_JSON_FIELD = re.compile(r'^ *"(ip\.src|ip\.dst|tcp\.srcport|tcp\.dstport|opend\.\w+)": "(.*)",?$')
_JSON_LAYER = '        "opend": {'


@dataclass(frozen=True)
class Score:
    """How much of an output is right."""

    true: int
    """Messages in the capture."""
    right: int
    wrong: int
    """Printed, but not in the capture, or twice."""

    @property
    def perfect(self) -> bool:
        return self.right == self.true and not self.wrong

    def __str__(self) -> str:
        if self.perfect:
            return "all right"
        return f"{self.right / self.true:.1%} right" + (f", {self.wrong:,} wrong" if self.wrong else "")


def score(
    truth: Path, names: dict[int, str], wanted: Callable[[Seen], bool], reader: Reader, lines: Iterable[str]
) -> Score:
    """Compare what `reader` sees in `lines` with the messages of `truth` that are wanted."""
    clients: dict[str, None] = {}
    left: Counter[Seen] = Counter()
    with open(truth, encoding="utf-8") as file:
        for line in file:
            client, direction, proto_id, serial, _, ret_type = map(sys.intern, line.rstrip("\n").split("\t"))
            clients[client] = None
            message = client, direction, names[int(proto_id)], serial, ret_type
            if wanted(message):
                left[message] += 1
    true, right, wrong = left.total(), 0, 0
    for seen in reader(lines, list(clients)):
        candidates = [(*seen[:4], ret_type) for ret_type in _RET_TYPES.values()] if seen[4] == "?" else [seen]
        found = next((candidate for candidate in candidates if left[candidate]), None)
        if found is None:
            wrong += 1
        else:
            left[found] -= 1
            right += 1
    return Score(true, right, wrong)


def read_json_lines(lines: Iterable[str], clients: list[str]) -> Iterator[Seen]:
    """Our JSON Lines.  Gaps, and messages that are not verified, come out as something that no truth holds."""
    for line in lines:
        record = json.loads(line)
        if record.get("verdict") != "verified":
            yield "", "", "", "", ""
            continue
        direction = record["direction"]
        client = record["src" if direction == "c2s" else "dst"]
        ret_type = _RET_TYPES.get(record["ret_type"], record["ret_type"])
        yield client, direction, record["proto"], str(record["serial_no"]), ret_type


def read_text(lines: Iterable[str], clients: list[str]) -> Iterator[Seen]:
    """Our text lines, in UTF-8."""
    for line in lines:
        match = _TEXT.match(line)
        if match is None or match["doubt"]:
            yield "", "", "", "", ""
            continue
        ret_type = _RET_TYPES.get(match["ret_type"], match["ret_type"])
        if match["kind"] == "push":
            ret_type = ret_type or "0"  # a push only shows what failed
        direction = "c2s" if match["arrow"] == "→" else "s2c"
        yield clients[int(match["connection"])], direction, match["name"], match["serial"], ret_type


def read_peer(lines: Iterable[str], clients: list[str]) -> Iterator[Seen]:
    """What our own peers print: ``client direction protocol serial retType [body]``."""
    for line in lines:
        client, direction, name, serial, ret_type = line.split(maxsplit=5)[:5]
        yield client, direction, name, serial, "" if ret_type == "-" else ret_type


def read_tshark_fields(lines: Iterable[str], clients: list[str]) -> Iterator[Seen]:
    """tshark's ``-T fields``, a line for each packet: see `tools.TSHARK_FIELDS`."""
    for line in lines:
        _, src, src_port, dst, dst_port, directions, names, serials, ret_types, *_ = line.rstrip("\n").split("\t")
        client = f"{src}:{src_port}" if dst_port == _GATEWAY_PORT else f"{dst}:{dst_port}"
        several = directions.split(","), names.split(","), serials.split(",")
        for place, (direction, name, serial) in enumerate(zip(*several, strict=True)):
            yield client, direction, name, serial, ret_types.split(",")[place] if direction == "s2c" else ""


def read_tshark_json(lines: Iterable[str], clients: list[str]) -> Iterator[Seen]:
    """tshark's ``-T json``: 60 KB a message, with keys that repeat, so its lines are read and not its objects."""
    packet: dict[str, str] = {}
    in_message = False

    def message() -> Seen:
        to_gateway = packet["tcp.dstport"] == _GATEWAY_PORT
        side = "src" if to_gateway else "dst"
        client = f"{packet[f'ip.{side}']}:{packet[f'tcp.{side}port']}"
        ret_type = packet.pop("opend.ret_type", "")
        return client, packet["opend.direction"], packet["opend.name"], packet["opend.serial"], ret_type

    for line in lines:
        if line.startswith(_JSON_LAYER) or line == "  {\n":
            if in_message:
                yield message()
            in_message = line.startswith(_JSON_LAYER)
        elif match := _JSON_FIELD.match(line):
            packet[match[1]] = match[2]
    if in_message:
        yield message()
