"""Joins what the two ends wrote down. They must agree message by message, or there is no expectation."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict
from itertools import zip_longest
from pathlib import Path
from typing import Any

from .journal import Entry, load

SHARED = ("proto_id", "serial_no", "kind", "format", "wire_sha1", "header_error")
PLAIN = ("encryption", "sha1", "plaintext", "body")  # not known to an end that could not read the message
BRIDGE_ONLY = (1, 2)  # messages of the WebSocket layer, for which the Python SDK has no class

Stream = tuple[str, str]  # client, direction


class Disagreement(Exception):
    """The two ends did not write down the same messages."""


def streams(entries: list[Entry]) -> dict[Stream, list[Entry]]:
    found: dict[Stream, list[Entry]] = defaultdict(list)
    for entry in entries:
        found[entry.client, entry.direction].append(entry)
    return dict(found)


def merge(client: list[Entry], gateway: list[Entry], started_ns: int) -> list[dict[str, Any]]:
    """The messages that were sent after the capture had started, in the order in which they were sent."""
    ours, theirs = streams(client), streams(gateway)
    if ours.keys() != theirs.keys():
        raise Disagreement(f"streams {sorted(ours.keys() ^ theirs.keys())} were seen by one end only")
    messages = []
    for stream, at_client in ours.items():
        at_gateway = theirs[stream]
        sent, received = (at_client, at_gateway) if stream[1] == "c2s" else (at_gateway, at_client)
        if len(sent) != len(received) and not (len(received) < len(sent) and received[-1].error):
            raise Disagreement(f"{stream}: {len(sent)} messages were sent, {len(received)} were received")
        for out, back in zip_longest(sent, received):
            if back is not None:
                compare(out, back)
            if out.time_ns >= started_ns:
                messages.append(record(out, back))
    return sorted(messages, key=lambda message: message["sent_ns"])


def compare(sent: Entry, received: Entry) -> None:
    for key in SHARED if received.error else SHARED + PLAIN:
        if key == "body" and sent.proto_id in BRIDGE_ONLY:
            continue
        if getattr(sent, key) != getattr(received, key):
            left, right = asdict(sent), asdict(received)
            raise Disagreement(f"{key} differs:\nsent     {left}\nreceived {right}")


def record(sent: Entry, received: Entry | None) -> dict[str, Any]:
    """One line of the expectation. What follows a message that jams the SDK is sent, but never received."""
    message = {
        "client": sent.client,
        "direction": sent.direction,
        "proto_id": sent.proto_id,
        "serial_no": sent.serial_no,
        "kind": sent.kind,
        "format": sent.format,
        "encryption": sent.encryption,
        "sha1": sent.sha1,
        "body": sent.body if sent.body is not None or received is None else received.body,
        "sent_ns": sent.time_ns,
        "received_ns": received.time_ns if received else None,
    }
    if sent.sha1 is None and sent.plaintext is not None:
        message["wire_sha1"] = sent.wire_sha1  # a WebSocket message has no digest of its own
    if sent.header_error:
        message["error"] = sent.header_error
    error = received.error if received else "never read"
    if error:
        message["receiver_error"] = error
    return message


def write_expected(work: Path, target: Path) -> int:
    """Merge the journals of a recording into ``NAME.expected.jsonl``; returns the number of messages."""
    started = int((work / "started").read_text())
    messages = merge(load(work / "client.jsonl"), load(work / "gateway.jsonl"), started)
    with target.open("w", encoding="utf-8") as file:
        for message in messages:
            file.write(json.dumps(message, ensure_ascii=False, separators=(",", ":")) + "\n")
    return len(messages)
