"""The tools under comparison, as commands: ours, and those that a user would turn to otherwise."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from .check import (
    Reader,
    Seen,
    read_json_lines,
    read_peer,
    read_text,
    read_tshark_fields,
    read_tshark_json,
)
from .generate import DEMO_KEY, Files
from .peers import vendor
from .process import ToolError, output

_PEERS = Path(__file__).with_name("peers")


def _every(seen: Seen) -> bool:
    return True


@dataclass(frozen=True)
class Command:
    """A tool at work on a capture."""

    name: str
    arguments: tuple[str, ...]
    files: Files | None = None
    """The capture; None for a command that reads none."""
    reader: Reader | None = None
    """How its output is read to be checked; None where it shows no messages."""
    wanted: Callable[[Seen], bool] = field(default=_every, compare=False)
    """Which messages of the capture it ought to show."""
    ours: bool = False


_PURE = "import os; os.environ['OPENDUMP_PURE'] = '1'; from decoder.cli.main import main; main()"
"""Starts the command without the compiled core."""


class Tools:
    """Makes the commands; raises ToolError for a tool that is not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def environment(self) -> dict[str, str]:
        """What the peers need to know.  Raises ToolError without futu-api."""
        names = self._folder / "names.tsv"
        with output([sys.executable, "-m", "tests.bench.peers.vendor", str(names)], {}) as printed:
            printed.read()
        return {vendor.NAMES: str(names)}

    @cached_property
    def names(self) -> dict[int, str]:
        """The vendor's names of the protocols."""
        lines = Path(self.environment[vendor.NAMES]).read_text(encoding="utf-8").splitlines()
        return {int(number): name for number, name in (line.split("\t") for line in lines)}

    # Ours

    def python(self) -> Command:
        """An interpreter that does nothing: the floor of what starts one."""
        return Command("python -c pass", (sys.executable, "-c", "pass"))

    def opendump(self, *arguments: str) -> Command:
        """Our command, without a capture."""
        return Command(" ".join(("opendump", *arguments)), (sys.executable, "-m", "decoder", *arguments), ours=True)

    def text(self, files: Files, *, pure: bool = False) -> Command:
        """Text lines, in one process; `pure` is without the compiled core."""
        return self._ours("opendump decode", files, read_text, "decode", "--jobs", "1", pure=pure)

    def json_lines(self, files: Files, jobs: int = 1, *, pure: bool = False) -> Command:
        """JSON Lines, in so many processes."""
        arguments = ("decode", "--format", "jsonl", "--jobs", str(jobs))
        return self._ours(
            f"opendump decode --format jsonl --jobs {jobs}", files, read_json_lines, *arguments, pure=pure
        )

    def where(self, files: Files, expression: str, wanted: Callable[[Seen], bool]) -> Command:
        """JSON Lines of some messages."""
        arguments = ("decode", "--format", "jsonl", "--jobs", "1", "--where", expression)
        return self._ours(f"opendump decode --where {expression}", files, read_json_lines, *arguments, wanted=wanted)

    def stats(self, files: Files) -> Command:
        """Statistics."""
        return self._ours("opendump stats", files, None, "stats")

    def annotate(self, files: Files) -> Command:
        """The capture with comments, which every run writes anew."""
        return self._ours("opendump annotate", files, None, "annotate", "-o", str(self.annotated))

    def tables(self, files: Files) -> Command:
        """Every table as Parquet, which every run writes anew."""
        return self._ours("opendump export", files, None, "export", "--force", "-o", str(self.exported))

    def dataset(self, captures: Sequence[Path], workers: int | None) -> Command:
        """The tables of the files of one host, by so many workers; None: by this process, a file a table."""
        arguments = [sys.executable, "-m", "decoder", "export", *map(str, captures), "-o", str(self.exported)]
        divided = [] if workers is None else ["--workers", str(workers)]
        return Command(" ".join(["opendump export", *divided]), (*arguments, *divided), ours=True)

    @property
    def exported(self) -> Path:
        """The directory that `tables` writes."""
        return self._folder / "tables"

    @property
    def annotated(self) -> Path:
        """The file that `annotate` writes."""
        return self._folder / "annotated.pcapng"

    def _ours(
        self,
        name: str,
        files: Files,
        reader: Reader | None,
        command: str,
        *options: str,
        wanted: Callable[[Seen], bool] = _every,
        pure: bool = False,
    ) -> Command:
        start = ("-c", _PURE) if pure else ("-m", "decoder")
        arguments = (sys.executable, *start, command, str(files.capture), *options)
        if pure:
            name = f"{name}, pure Python"
        if files.encryption != "none":
            name, arguments = f"{name}, {files.encryption}", (*arguments, "--rsa-key", str(DEMO_KEY))
        return Command(name, arguments, files, reader, wanted, ours=True)

    # Others

    def tshark_fields(self, files: Files) -> Command:
        """tshark with a Lua dissector for the header and its own protobuf dissector: columns."""
        columns = (
            "frame.time_epoch ip.src tcp.srcport ip.dst tcp.dstport opend.direction opend.name opend.serial "
            "opend.ret_type pbf.Qot_Common.Security.code"
        )
        arguments = [argument for column in columns.split() for argument in ("-e", column)]
        return self._tshark("tshark -T fields", files, read_tshark_fields, "-T", "fields", *arguments)

    def tshark_json(self, files: Files) -> Command:
        """The same as JSON: addresses, ports and everything of the message."""
        return self._tshark("tshark -T json", files, read_tshark_json, "-T", "json", "-J", "ip tcp opend")

    def _tshark(self, name: str, files: Files, reader: Reader, *arguments: str) -> Command:
        tshark = shutil.which("tshark")
        if tshark is None:
            raise ToolError("tshark is not installed")
        preferences = (
            "tcp.reassemble_out_of_order:TRUE",  # without it segments that are late cost messages
            f'uat:protobuf_search_paths:"{vendor.package()}","TRUE"',
            "protobuf.preload_protos:TRUE",
            "protobuf.pbf_as_hf:TRUE",
        )
        options = [argument for preference in preferences for argument in ("-o", preference)]
        script = f"lua_script:{_PEERS / 'opend.lua'}"
        command = (tshark, "-n", "-X", script, *options, "-r", str(files.capture), "-Y", "opend", *arguments)
        return Command(name, command, files, reader)

    def dpkt_json(self, files: Files) -> Command:
        """dpkt, the vendor's classes and MessageToJson."""
        return self._peer("dpkt + MessageToJson", files, "dpkt", "dpkt_loop", str(files.capture))

    def scapy_tcp_session(self, files: Files) -> Command:
        """Scapy's TCPSession with a layer for the header."""
        return self._peer("Scapy TCPSession, header only", files, "scapy", "scapy_tcp", str(files.capture))

    def scapy_session(self, files: Files) -> Command:
        """Our session inside Scapy's sniff."""
        return self._peer(
            "sniff(session=OpenDSession)", files, "scapy", "scapy_sniff", "opend", str(files.capture), ours=True
        )

    def scapy_bare(self, files: Files) -> Command:
        """Scapy's sniff without a session."""
        return self._peer("sniff", files, "scapy", "scapy_sniff", "bare", str(files.capture), reader=None)

    def _peer(
        self,
        name: str,
        files: Files,
        needs: str,
        module: str,
        *arguments: str,
        reader: Reader | None = read_peer,
        ours: bool = False,
    ) -> Command:
        if find_spec(needs) is None:
            raise ToolError(f"{needs} is not installed")
        return Command(
            name, (sys.executable, "-m", f"tests.bench.peers.{module}", *arguments), files, reader, ours=ours
        )
