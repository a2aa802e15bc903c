"""Datasets and the tables of a single machine, compared by DuckDB."""

from __future__ import annotations

import gzip
import re
import subprocess
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import duckdb
from scapy.layers.l2 import Ether
from scapy.utils import PcapNgWriter

from decoder.capture.merge import merged
from decoder.capture.reader import CaptureReader, RawPacket
from decoder.cli.add import add_to_dataset
from decoder.cli.cluster import Cluster
from decoder.crypto.keyring import KeyRing
from decoder.engine.decoder import Decoder
from decoder.limits import Limits
from decoder.output.dataset import Settings
from decoder.output.parquet import ParquetTable
from decoder.output.partition import Source
from decoder.output.table_blocks import Block
from decoder.output.table_columns import Table
from decoder.output.table_schema import all_tables
from decoder.output.tables import Tables
from decoder.output.workers import Workers
from tests.support import exchange as ex
from tests.support.command import Result, opendump
from tests.support.order_model import Market
from tests.support.recorded import CAPTURES, DEMO_KEY

NAMES = tuple(all_tables())
PORTS = (11111, 33333, 44444)
HOST_OF = "([a-z]+)/[^/]+$"


def source(**changes: Any) -> Source:
    values: dict[str, Any] = {
        "ports": (11111,),
        "rsa_keys": (str(DEMO_KEY),),
        "keylogs": (),
        **dict.fromkeys(("where", "start", "end")),
        "utc": False,
        "dedup": False,
        "limits": Limits(),
    }
    return Source(**{**values, **changes})


def settings(directory: Path, **changes: Any) -> Settings:
    values: dict[str, Any] = {
        "tables": NAMES,
        "wide": False,
        "all_bodies": True,
        "show_secrets": False,
        "source": source(),
    }
    return Settings(str(directory), **{**values, **changes})


def recorded(*names: str) -> list[RawPacket]:
    """The packets of recordings, one recording after the other."""
    return [packet for name in names for batch in CaptureReader(CAPTURES / name).batches() for packet in batch]


def reused_port(times: int = 2, **options: Any) -> list[RawPacket]:
    """Conversations in clear between the same two ends, one after the other."""
    packets: list[RawPacket] = []
    for turn in range(times):
        talk = ex.Exchange(syn=False, **options)
        talk.now += turn * 60_000_000_000
        talk.next = {"c2s": 1000 + turn * 1_000_000, "s2c": 5000 + turn * 2_000_000}
        talk.put("c2s", "S").put("s2c", "SA").put("c2s", "A")
        talk.c2s(ex.frame(1001, ex.init_request())).s2c(ex.frame(1001, ex.init_response(9_000 + turn)))
        for serial_no in (2, 3, 4):
            talk.c2s(ex.frame(1004, ex.keep_alive(), serial_no=serial_no))
            talk.s2c(ex.frame(1004, ex.keep_alive_answer(), serial_no=serial_no))
        talk.fin()
        packets += [(time_ns, 1, data, len(data)) for data, time_ns in talk.packets]
    return packets


def in_time(*parts: Iterable[RawPacket]) -> list[RawPacket]:
    return sorted((packet for part in parts for packet in part), key=lambda packet: packet[0])


def moved(packets: Iterable[RawPacket], offset_ns: int) -> list[RawPacket]:
    """The packets as a capture point has them whose clock differs by `offset_ns`."""
    return [(time_ns + offset_ns, linktype, data, size) for time_ns, linktype, data, size in packets]


def readdressed(packets: Iterable[RawPacket]) -> list[RawPacket]:
    """The packets behind a router that gives both ends other IPv4 addresses."""
    return [
        (time_ns, linktype, data[:26] + bytes((198, 51, 100)) + data[29:30] + bytes((198, 51, 101)) + data[33:], size)
        for time_ns, linktype, data, size in packets
    ]


def rotated(directory: Path, packets: Sequence[RawPacket], cuts: Iterable[int], kinds: str = "p") -> list[str]:
    """Writes packets into files that are cut at `cuts`: pcap (p), gzip (g), pcapng (n), in turn."""
    directory.mkdir(parents=True, exist_ok=True)
    ends = sorted({cut for cut in cuts if 0 < cut < len(packets)} | {0, len(packets)})
    paths = []
    for number, (start, end) in enumerate(pairwise(ends)):
        kind = kinds[number % len(kinds)]
        path = directory / f"{number:03}.{ {'p': 'pcap', 'g': 'pcap.gz', 'n': 'pcapng'}[kind] }"
        if kind == "n":
            with PcapNgWriter(str(path)) as writer:
                for time_ns, _, data, _ in packets[start:end]:
                    packet = Ether(data)
                    packet.time = time_ns // 1000 / 1_000_000
                    writer.write(packet)
        else:
            head = bytes.fromhex("4d3cb2a1020004000000000000000000ffff000001000000")  # nanoseconds, Ethernet
            data = head + b"".join(_record(time_ns, data) for time_ns, _, data, _ in packets[start:end])
            path.write_bytes(gzip.compress(data) if kind == "g" else data)
        paths.append(str(path))
    return paths


def _record(time_ns: int, data: bytes) -> bytes:
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return b"".join(number.to_bytes(4, "little") for number in (seconds, rest, len(data), len(data))) + data


def all_of(hours: Iterable[dict[str, list[str]]]) -> dict[str, list[str]]:
    """The files of each host, hour after hour."""
    files: dict[str, list[str]] = {}
    for hour in hours:
        for host, own in hour.items():
            files.setdefault(host, []).extend(own)
    return files


def single_machine(directory: Path, host: str, paths: Sequence[str], chosen: Settings) -> None:
    """Writes the tables of one host as one decoder of everything gives them, a file each."""
    directory.mkdir(parents=True)
    files = {name: (directory / f"{name}.parquet").open("wb") for name in chosen.tables}
    tables = {name: table for name, table in all_tables().items() if name in chosen.tables}
    writers = {name: ParquetTable(table, files[name].write) for name, table in tables.items()}

    def write(table: Table, block: Block) -> None:
        writers[table.name].write(block)

    collector = Tables(tables, write, all_bodies=True, host=host, where=chosen.source.match())
    keys, options = KeyRing(chosen.source.rsa_keys), chosen.source
    decoder = Decoder(keys=keys, ports=options.ports, on_connection=collector.connection_ended, dedup=options.dedup)
    for batch in merged([CaptureReader(path) for path in paths], lambda reader, error: None):
        collector.add(decoder.feed_batch(batch))
    collector.add(decoder.flush())
    collector.finish(decoder.summary)
    for name, writer in writers.items():
        writer.close()
        files[name].close()


def differences(dataset: Path, hosts: Sequence[Path], names: Sequence[str] = NAMES) -> dict[str, tuple[int, int, int]]:
    """For each table that differs: rows of the dataset, rows only in it, rows that it lacks."""
    found = {}
    with duckdb.connect() as database:
        for name in names:
            whole = f"read_parquet({[str(host / f'{name}.parquet') for host in hosts]})"
            columns = [row[0] for row in database.execute(f"describe select * from {whole}").fetchall()]
            columns = [f'"{column}"' for column in columns if column != "message"]
            expected = f"select {', '.join(columns)} from {whole}"
            rows = count(database, expected)
            if not list(dataset.glob(f"{name}/*/*/*.parquet")):
                if rows:
                    found[name] = 0, 0, rows
                continue
            options = "hive_partitioning=true, hive_types={'host': varchar}"
            parts = f"read_parquet('{dataset}/{name}/*/*/*.parquet', {options})"
            actual = f"select {', '.join(columns)} from {parts}"
            more = count(database, f"({actual}) except all ({expected})")
            less = count(database, f"({expected}) except all ({actual})")
            if more or less:
                found[name] = count(database, actual), more, less
    return found


def count(database: Any, query: str) -> int:
    rows: int = database.execute(f"select count(*) from ({query})").fetchone()[0]
    return rows


FIRST = in_time(recorded("ftaes.pcap", "ipv6.pcap"), reused_port(3))
"""Encrypted connections with one handshake each, IPv6, and three connections between the same two ends."""
SECOND = in_time(recorded("cbc.pcap", "reconnect.pcap.gz"), reused_port(2))
"""Another host, with some of the same ends: its loopback addresses and ports."""


def trades() -> list[RawPacket]:
    """Orders whose pushes come on several connections, with losses, repeats and reconnects; see `Market`."""
    market = Market(Random(3), 40, 6)
    return [(time_ns, 1, data, len(data)) for data, time_ns in market.packets()]


KINDS = {
    "encryption, IPv6 and port reuse": FIRST,
    "orders on several connections": trades(),
    "WebSocket": in_time(recorded("websocket.pcap", "websocket-framed.pcap"), recorded("websocket-deflate.pcap")),
    "a second capture point, of which the clock is 2.5 s behind": in_time(FIRST, moved(FIRST, -2_500_000_000)),
    "the same conversations on other addresses": in_time(SECOND, moved(readdressed(SECOND), 300_000)),
}
"""Traffic with something that goes on for long; see `PORTS`."""


def two_hosts(directory: Path) -> dict[str, list[str]]:
    """Writes the files of two hosts, which have some of the same ends."""
    return {
        "alpha": rotated(directory / "alpha", FIRST, [100, 300], "pg"),
        "beta": rotated(directory / "beta", SECOND, [50], "g"),
    }


def paths(files: dict[str, list[str]]) -> list[str]:
    return [path for host in files.values() for path in host]


class InThisProcess(Cluster):
    """Divides the work as for several workers, and does all of it here."""

    def open(self) -> Workers:
        return Workers(1)


def add(directory: Path, files: dict[str, list[str]], partitions: int, *, resume: bool = False, **options: Any) -> int:
    """Adds captures to a dataset, or begins one; returns the exit code."""
    cluster = InThisProcess(partitions, None, re.compile(HOST_OF))
    chosen = settings(directory, source=source(**options))
    return add_to_dataset(paths(files), cluster, chosen, resume=resume, strict=False, name=directory.name)


def export(files: dict[str, list[str]], output: Path, *more: object) -> Result:
    """Runs the command."""
    return opendump("export", *paths(files), "-o", output, "--bodies", "all", "--rsa-key", DEMO_KEY, *more)


def expected(directory: Path, files: dict[str, list[str]]) -> list[Path]:
    """Writes what single machines give, a directory for each host; returns the directories."""
    for host, own in files.items():
        single_machine(directory / host, host, own, settings(directory))
    return [directory / host for host in files]


def content(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*.parquet")}


def assert_whole(directory: Path) -> None:
    """Asserts that each file of a dataset that has its name can be read to its end."""
    from pyarrow import parquet

    for path in directory.rglob("*.parquet"):
        assert parquet.read_table(path, partitioning=None).num_rows > 0


def children(pid: int) -> list[int]:
    """The processes that a process started and that still run (from ps, of POSIX)."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    return [int(child) for child, parent, state in rows if int(parent) == pid and not state.startswith("Z")]


def is_alive(pid: int) -> bool:
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return listed.strip() not in ("",) and not listed.startswith("Z")
