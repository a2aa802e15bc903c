"""``opendump open``: the packets of messages in Wireshark."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import tempfile
from typing import TYPE_CHECKING

import click

from decoder.cli.options import Options, captures_argument, common_options
from decoder.formatting.frame_filter import FrameFilter, merged_first
from decoder.packet.dissector import PacketReader
from decoder.packet.flow_key import endpoints

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from decoder.message import Gap, Message

__all__ = ["open"]

_BEGIN_OR_END = 7
"""Flags SYN, FIN and RST."""
_MAX_MESSAGES = 200_000
"""Messages whose packets are selected: more than a person looks at, and their comments are held in memory."""


@click.command("open")
@captures_argument
@click.option(
    "-o",
    "--output",
    metavar="OUT.pcapng",
    type=click.Path(dir_okay=False, readable=False),
    help="Write the packets to OUT.pcapng instead of a temporary file; - for standard output, without Wireshark.",
)
@common_options(without=("color", "show_secrets"))
@click.pass_context
def open(ctx: click.Context, captures: tuple[str, ...], options: Options, output: str | None) -> None:
    """Examples:

    \b
      opendump open day.pcapng --rsa-key rsa.pem --where 'proto=Trd_PlaceOrder'
      opendump open day.pcapng --where 'ret_type=RET_ERROR' -o errors.pcapng

    Write the packets of the messages for which --where holds, with the TCP around them: how their connections begin and
    end, and the acknowledgements that follow each message. Each packet has a comment with its message. Then start
    Wireshark on them, if it is installed. The packets are those of CAPTURE: encrypted bodies stay encrypted (see
    opendump rewrite).

    CAPTURE is read twice, so it cannot be standard input.
    """
    from decoder.capture.reader import CaptureReader
    from decoder.cli.output_file import OutputFile
    from decoder.cli.run import Run, counted, say
    from decoder.output.comments import Annotator

    for capture in captures:
        if capture == "-" or (os.path.exists(capture) and not CaptureReader(capture).reopens):
            raise click.UsageError("open reads the capture twice: give a file, not standard input or a pipe", ctx)
    where = (lambda item: True) if options.where is None else options.where.match
    annotator = Annotator(where, utc=options.utc)
    selection = _Selection(where)
    run = Run(captures, dataclasses.replace(options, where=None))
    for records in run.records():
        annotator.add(records)
        selection.add(records)
        if selection.is_full:
            say(f"only the first {_MAX_MESSAGES:,} messages are taken: select fewer with --where")
            break
    code = run.finish()
    if not selection.messages:
        if run.summary.messages:
            say("no message matches --where")
        ctx.exit(code)
    path = output or _temporary_name()
    comments = {comment.packet: comment.text for comment in annotator.comments()}
    annotator.close()
    with OutputFile(path, options.inputs(captures), force=output is None) as file:
        written = _copy(captures, selection, comments, file.write)
    say(f"{counted(selection.messages, 'message')} in {counted(written, 'packet')} written to {file.name}")
    shown = FrameFilter()
    shown.add(selection.packets)
    say(f"in the whole capture{merged_first(len(captures))}: {shown}")
    if path != "-":
        _start_wireshark(path)
    ctx.exit(code)


class _Selection:
    """Collects the packets of the messages that are wanted, and the connections that they are on."""

    def __init__(self, where: Callable[[Message | Gap], bool]) -> None:
        self.messages = 0
        self.is_full = False
        self.packets: set[int] = set()
        self.ends: set[frozenset[str]] = set()
        self._where = where

    def add(self, items: Sequence[Message | Gap]) -> None:
        from decoder.message import Message

        for item in items:
            if isinstance(item, Message) and self._where(item):
                if self.messages == _MAX_MESSAGES:
                    self.is_full = True
                    return
                self.messages += 1
                self.packets.update(item.frames)
                self.ends.add(frozenset((item.src, item.dst)))


def _copy(
    captures: Sequence[str], selection: _Selection, comments: dict[int, str], write: Callable[[bytes], object]
) -> int:
    """Writes the selected packets and the TCP around them; returns their number."""
    from decoder.capture.pcapng_writer import interface_block, packet_block, section_block

    write(section_block())
    interfaces: dict[int, int] = {}
    written = 0
    around = _Around(selection)
    for number, (time_ns, linktype, data, wire_len) in enumerate(_raw_packets(captures), 1):
        if not around.takes(data, linktype, wire_len, number):
            continue
        if linktype not in interfaces:
            interfaces[linktype] = len(interfaces)
            write(interface_block(linktype))
        write(packet_block(interfaces[linktype], time_ns, data, wire_len, comments.get(number)))
        written += 1
    return written


def _raw_packets(captures: Sequence[str]) -> Iterator[tuple[int, int, bytes, int]]:
    from decoder.capture.merge import merged
    from decoder.capture.reader import CaptureReader

    # What cannot be read was reported when it was read first.
    for batch in merged([CaptureReader(capture) for capture in captures], lambda *_: None):
        yield from batch or ()


class _Around:
    """Decides which packets are written: the selected ones and the TCP around them."""

    def __init__(self, selection: _Selection) -> None:
        self._selection = selection
        self._packets = PacketReader(max_fragments=0)
        self._following: set[frozenset[str]] = set()  # connections whose last packet with payload was selected

    def takes(self, data: bytes, linktype: int, wire_len: int, number: int) -> bool:
        """True if the packet with this number is to be written."""
        selected = number in self._selection.packets
        segment = self._packets.read(data, linktype, wire_len, number)
        ends = frozenset(endpoints(segment[0])) if segment is not None else frozenset()
        if segment is None or ends not in self._selection.ends:
            return selected
        if segment[4]:
            (self._following.add if selected else self._following.discard)(ends)
            return selected
        return selected or bool(segment[3] & _BEGIN_OR_END) or ends in self._following


def _temporary_name() -> str:
    """Returns a name in a new folder that only this user can read."""
    return os.path.join(tempfile.mkdtemp(prefix="opendump-"), "messages.pcapng")


def _start_wireshark(path: str) -> None:
    from decoder.cli.run import say
    from decoder.cli.wireshark import Folders, wireshark_program
    from decoder.output.wireshark_profile import PROFILE

    program = wireshark_program()
    if program is None:
        say("Wireshark is not installed here: open the file where it is")
        return
    profile = ["-C", PROFILE] if Folders.find().profile.is_dir() else []
    try:
        subprocess.Popen(
            [program, *profile, "-r", os.path.abspath(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        say(f"Wireshark cannot be started: {error.strerror or error}")
