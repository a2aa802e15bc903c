"""Files are counted as they are, and every flow is in one partition."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from decoder.capture.reader import CaptureReader
from decoder.engine.shards import FileIndex, FlowShare, index_file, plan_partitions
from decoder.packet import flow_key
from tests.support.exchange import Exchange, frame, keep_alive
from tests.support.recorded import CAPTURES

PORTS = frozenset([11111])


def key(number: int) -> bytes:
    return bytes((192, 0, 2, 1, 192, 0, 2, 2)) + (11111).to_bytes(2, "big") + (40_000 + number).to_bytes(2, "big")


def test_a_file_is_counted(tmp_path: Path) -> None:
    path = CAPTURES / "ftaes.pcap"
    batches = [packet for batch in CaptureReader(path).batches() for packet in batch]
    index = index_file("alpha", str(path), PORTS)
    assert (index.packets, index.first_ns, index.last_ns) == (len(batches), batches[0][0], batches[-1][0])
    assert index.size == path.stat().st_size
    assert index.error is None
    assert index_file("alpha", str(path), frozenset([80])).flows == {}


def test_a_file_that_ends_early_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "cut.pcap"
    path.write_bytes((CAPTURES / "ftaes.pcap").read_bytes()[:5000])
    index = index_file("alpha", str(path), PORTS)
    assert index.error is None
    assert ["cut short" in line for line in index.warnings] == [True]


def test_a_damaged_file_has_its_fault_and_what_is_before_it(tmp_path: Path) -> None:
    whole = (CAPTURES / "ftaes.pcap").read_bytes()
    path = tmp_path / "damaged.pcap"
    path.write_bytes(whole + b"\xff" * 200)
    index = index_file("alpha", str(path), PORTS)
    assert index.packets == index_file("alpha", str(CAPTURES / "ftaes.pcap"), PORTS).packets
    assert index.error is not None
    assert index.error.startswith(str(path))


def test_a_file_that_is_not_there() -> None:
    assert "gone.pcap" in (index_file("alpha", "gone.pcap", PORTS).error or "")


def test_weight_is_payload_and_packets(tmp_path: Path) -> None:
    talk = Exchange(syn=False).c2s(frame(1004, keep_alive())).c2s(frame(1004, keep_alive(), serial_no=2))
    size = 2 * len(frame(1004, keep_alive()))
    records = b"".join(
        b"".join(n.to_bytes(4, "little") for n in (1, 0, len(data), len(data))) + data for data, _ in talk.packets
    )
    path = tmp_path / "two.pcap"
    path.write_bytes(bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000") + records)
    assert list(index_file("alpha", str(path), PORTS).flows.values()) == [size + 2 * 40]


@given(
    st.lists(st.dictionaries(st.integers(0, 30), st.integers(1, 1_000_000), max_size=12), min_size=1, max_size=6),
    st.integers(1, 8),
)
def test_every_flow_is_in_one_partition_of_its_host(files: list[dict[int, int]], workers: int) -> None:
    indexes = [
        FileIndex(f"host{number % 2}", f"{number}.pcap", packets=1, flows={key(n): w for n, w in flows.items()})
        for number, flows in enumerate(files)
    ]
    partitions = plan_partitions(indexes, workers)
    assert [part.id for part in plan_partitions(indexes, workers)] == [part.id for part in partitions]
    assert len({part.id for part in partitions}) == len(partitions)
    total = sum(sum(index.flows.values()) for index in indexes)
    assert sum(part.weight for part in partitions) == total
    for host in {index.host for index in indexes}:
        own = [part for part in partitions if part.host == host]
        assert all(part.paths == tuple(index.path for index in indexes if index.host == host) for part in own)
        for number in range(40):  # also flows that nobody counted
            for end in (key(number), flow_key.reverse_key(key(number))):
                assert sum(part.flows is None or end in part.flows for part in own) == 1


def test_the_heaviest_flow_is_alone() -> None:
    flows = {key(0): 100, key(1): 30, key(2): 30, key(3): 30}
    partitions = plan_partitions([FileIndex("alpha", "a.pcap", packets=1, flows=flows)], 2)
    assert [(part.weight, part.flow_count) for part in partitions] == [(100, 1), (90, 3)]


@given(
    st.lists(st.dictionaries(st.integers(0, 30), st.integers(1, 1_000_000), max_size=12), min_size=1, max_size=4),
    st.integers(1, 8),
)
def test_partitions_that_are_kept_have_the_same_flows_whatever_the_captures(
    files: list[dict[int, int]], workers: int
) -> None:
    found: dict[str, set[bytes]] = {}
    kept: dict[str, int] = {}
    for number, flows in enumerate(files):
        index = FileIndex("alpha", f"{number}.pcap", packets=1, flows={key(n): w for n, w in flows.items()})
        partitions = plan_partitions([index], workers if number == 0 else 1, apart=True, kept=kept)
        kept = {"alpha": len(partitions)}
        assert number == 0 or {part.id for part in partitions} == found.keys()
        assert {part.paths for part in partitions} == {(f"{number}.pcap",)}
        for part in partitions:
            own = {key(n) for n in range(40) if part.flows is None or key(n) in part.flows}
            assert own == {
                flow_key.reverse_key(flow)
                for flow in map(flow_key.reverse_key, own)
                if part.flows is None or flow in part.flows
            }
            assert found.setdefault(part.id, own) == own
    messages = [own for ident, own in found.items() if ident in {part.id for part in partitions if part.job != "host"}]
    assert sum(map(len, messages)) == len(set().union(*messages)) == 40
    assert 1 not in FlowShare(0, 2)


def test_the_latest_time_of_a_file_whose_clock_steps_back(tmp_path: Path) -> None:
    head = bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000")
    records = [second.to_bytes(4, "little") + bytes(4) + 2 * (1).to_bytes(4, "little") + b"x" for second in (5, 9, 7)]
    path = tmp_path / "a.pcap"
    path.write_bytes(head + b"".join(records))
    index = index_file("alpha", str(path), PORTS)
    assert (index.first_ns, index.last_ns, index.latest_ns) == (5 * 10**9, 7 * 10**9, 9 * 10**9)
