"""Make a synthetic trading day: ``python -m tests.bench.generate OUT.pcap --messages 200000``.

The same arguments give the same bytes, with the same release of futu-api.  Beside ``OUT.pcap`` are written
``OUT.pcap.truth.tsv``, a line for every message (see `session.Truth`), and ``OUT.pcap.json``, what the capture holds.

Of the messages 85 % are pushes, 10 % quote requests with their responses (those of candles up to 110 KB), 2 % trade
writes with their order pushes and 3 % heartbeats.  One segment in a hundred is late, one in two hundred sent again.
"""

from __future__ import annotations

import argparse
import json
import os
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import get_args

from .market import Market
from .network import Disorder, Network
from .session import Encryption, Session, Truth, read_key

DEMO_KEY = Path(__file__).resolve().parents[2] / "captures" / "demo_rsa_key.pem"
BYTES_PER_MESSAGE = 900
"""Of a capture and its truth, at most: to know before whether they fit on the disk."""

_ORDERS = 2 / 3
"""Share of the trade writes, as `Market.pushes` counts; each makes three messages."""
_OPENING = 10
"""Part of the day, as a fraction of it, in which the connections open one after the other."""


@dataclass(frozen=True)
class Day:
    """What to make."""

    messages: int
    connections: int = 8
    encryption: Encryption = "none"
    seed: int = 1
    disorder: Disorder = field(default_factory=Disorder)
    rsa_key: Path = DEMO_KEY


@dataclass(frozen=True)
class Files:
    """A capture and what belongs to it."""

    capture: Path
    encryption: Encryption = "none"

    @property
    def truth(self) -> Path:
        return self.capture.with_name(self.capture.name + ".truth.tsv")

    @property
    def counts(self) -> Path:
        return self.capture.with_name(self.capture.name + ".json")

    def all(self) -> tuple[Path, Path, Path]:
        """The three of them; the counts are written last."""
        return self.capture, self.truth, self.counts

    def count(self, what: str) -> int:
        """One of the counts of `generate`."""
        counts: dict[str, int] = json.loads(self.counts.read_text(encoding="utf-8"))
        return counts[what]


def generate(capture: Path, day: Day) -> Files:
    """Write the three files; the counts are messages, packets, segments, late, repeated, bytes.

    They get their names when they are complete, the counts last.  Raises ValueError for a bad RSA key.
    """
    rsa = None if day.encryption == "none" else read_key(day.rsa_key)
    files = Files(capture, day.encryption)
    with ExitStack() as stack:
        parts = [path.with_name(path.name + ".part") for path in files.all()]
        for part in parts:
            stack.callback(part.unlink, missing_ok=True)
        with open(parts[0], "wb", 1 << 20) as packets, open(parts[1], "w", 1 << 20, newline="\n") as lines:
            network = Network(packets, Random(day.seed), day.disorder)
            truth = Truth(lines)
            _play(day, network, truth, rsa)
        counts = {"messages": truth.messages, **asdict(network.counts), "bytes": parts[0].stat().st_size}
        parts[2].write_text(json.dumps(counts), encoding="utf-8")
        for part, path in zip(parts, files.all(), strict=True):
            os.replace(part, path)
    return files


def _play(day: Day, network: Network, truth: Truth, rsa: bytes | None) -> None:
    random = network.random
    market = Market(random)
    sessions: list[Session] = []
    weights = [share for share, _ in market.pushes] + [share for share, _ in market.exchanges] + [_ORDERS]
    cumulative = list(accumulate(weights))
    choices = range(len(weights))
    exchanges_from, orders = len(market.pushes), len(weights) - 1
    while truth.messages < day.messages:
        due = 1 + truth.messages * _OPENING * day.connections // day.messages
        while len(sessions) < min(day.connections, due):
            sessions.append(Session(network, truth, len(sessions), day.encryption, rsa))
        session = random.choice(sessions)
        choice = random.choices(choices, cum_weights=cumulative)[0]
        if choice < exchanges_from:
            session.push(market.pushes[choice][1](network.now_us))
            continue
        serial = session.next_serial()
        if choice < orders:
            make = market.exchanges[choice - exchanges_from][1]
            session.exchange(serial, make(network.now_us, session.conn_id, serial))
        else:
            exchange, push = market.order(network.now_us, session.conn_id, serial)
            session.exchange(serial, exchange)
            session.push(push)
    network.repeat_due(everything=True)
    for session in sessions:
        session.finish()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.generate", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("capture", type=Path, metavar="OUT.pcap")
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--encryption", choices=get_args(Encryption), default="none")
    parser.add_argument("--rsa-key", type=Path, default=DEMO_KEY, metavar="PEM", help="for encrypted captures")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--late", type=float, default=Disorder.late, help="share of the segments that come late")
    parser.add_argument("--repeated", type=float, default=Disorder.repeated, help="share that is sent again")
    args = parser.parse_args()
    if args.messages < 1 or not 1 <= args.connections <= 20_000:
        parser.error("at least one message, and 1 to 20,000 connections")
    disorder = Disorder(args.late, args.repeated)
    day = Day(args.messages, args.connections, args.encryption, args.seed, disorder, args.rsa_key)
    print(generate(args.capture, day).counts.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
