"""Bring our schema in step with a release of the vendor's SDK.

    python tests/tools/sync_schema.py                     compare with the installed futu-api
    python tests/tools/sync_schema.py --write             ... and write what is new into decoder/schema
    python tests/tools/sync_schema.py RELEASE --only-in LABEL [--write]
                                                          take over what only this source has
    python tests/tools/sync_schema.py [RELEASE] --snapshot FILE [--package NAME]...
                                                          write the facts of a release, and stop

RELEASE is a folder, an sdist, a wheel or an npm package; nothing in it is run.  Exit status 1 while
an integer field has no decision, a number changed its type, or (without --write) ours is behind.
A person reviews the diff, decides what is left, and runs it again.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from tests.tools.compile_schema import SCHEMA, compiled, write_compiled
from tests.tools.schema_merge import Change, Merge, undecided
from tests.tools.schema_model import Schema
from tests.tools.schema_proposals import Proposals, sdk_differences
from tests.tools.schema_snapshot import counts, write_snapshot
from tests.tools.schema_text import render
from tests.tools.vendor_constants import Constants, read_constants
from tests.tools.vendor_schema import installed_release, read_comments, read_release

PROTOCOLS = "protocols.tsv"
RELEASE = "release.tsv"


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    source, release = _source(options.source)
    theirs = read_release(source)
    if options.snapshot:
        chosen = {name: file for name, file in theirs.items() if not options.package or name in options.package}
        options.snapshot.write_text(write_snapshot(chosen, release), "utf-8", newline="\n")
        return 0
    ours, _ = compiled(options.schema)
    merge = Merge(ours, theirs, options.only_in, gone_after=_followed(options.schema))
    changes = merge.run()
    proposals = Proposals(ours, read_comments(source))
    for name, item in merge.new_fields:
        reason = proposals.apply(name, item)
        if reason:
            changes.append(Change("changed", name, f"proposed: {item.type} {item.options}: {reason}"))
    constants = read_constants(source.parent.parent) if source.is_dir() else Constants()
    for name, before, after in sdk_differences(ours, constants, only_in=options.only_in):
        changes.append(Change("changed", name, f"SDK constant {before or 'none'} is {after}"))
    rows = _new_protocols(options.schema, constants, ours, release)
    changes += [Change("new", row.split("\t")[1], f"protocol {row.split(chr(9))[0]}") for row in rows]
    for change in changes:
        print(f"{change.action:8} {change.what}  {change.detail}".rstrip())
    open_fields = undecided(ours)
    for name in open_fields:
        print(f"undecided {name}")
    if options.write:
        _write(options.schema, ours, rows)
        if options.only_in is None:
            _write_release(options.schema / RELEASE, release, counts(theirs))
        write_compiled(options.schema)
    print(f"{release}: {len(changes)} differences, {len(open_fields)} integer fields without a decision")
    conflicts = any(change.action == "conflict" for change in changes)
    return 1 if open_fields or conflicts or (changes and not options.write) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="bring our schema in step with a release of the vendor's SDK")
    parser.add_argument("source", nargs="?", type=Path, help="a folder or archive; default: the installed futu-api")
    parser.add_argument("--write", action="store_true", help="write what is new into decoder/schema and compile it")
    parser.add_argument("--only-in", metavar="LABEL", help="mark additions as only in this source; nothing is gone")
    parser.add_argument("--snapshot", type=Path, metavar="FILE", help="write the facts of the release, and stop")
    parser.add_argument("--package", action="append", metavar="NAME", help="only this package in the snapshot")
    parser.add_argument("--schema", type=Path, default=SCHEMA, help="where our schema is; default: decoder/schema")
    return parser


def _source(path: Path | None) -> tuple[Path, str]:
    if path is None:
        folder, version = installed_release()
        return folder, f"futu-api {version}"
    found = re.match(r"(?:futu|moomoo)[-_]api-(\d[\d.]*\d)", path.name)
    return path, f"{path.name.split('-')[0].split('_')[0]}-api {found[1]}" if found else path.name


def _followed(folder: Path) -> str:
    """The version that the schema was in step with."""
    return (folder / RELEASE).read_text("utf-8").splitlines()[1].split("\t")[0].split()[-1]


def _new_protocols(folder: Path, constants: Constants, schema: Schema, release: str) -> list[str]:
    known = {line.split("\t")[0] for line in (folder / PROTOCOLS).read_text("utf-8").splitlines()}
    rows = []
    for name, number in constants.protocol_ids.items():
        if str(number) not in known:
            push = name in constants.pushes
            messages = {message.name for message in schema[name].messages} if name in schema else set()
            request = f"{name}.Request" if "Request" in messages and not push else ""
            response = f"{name}.Response" if "Response" in messages else ""
            kind = "push" if push else "request/response"
            rows.append("\t".join([str(number), name, kind, "tcp", request, response, "current", release, "", "", ""]))
    return rows


def _write(folder: Path, schema: Schema, rows: list[str]) -> None:
    for file in schema.values():
        for name, text in render(file).items():
            path = folder / "proto" / name
            if not path.exists() or path.read_text("utf-8") != text:
                path.write_text(text, "utf-8", newline="\n")
    if rows:
        path = folder / PROTOCOLS
        heading, *lines = path.read_text("utf-8").splitlines()
        lines = sorted([*lines, *rows], key=lambda line: int(line.split("\t")[0]))
        path.write_text("\n".join([heading, *lines]) + "\n", "utf-8", newline="\n")


def _write_release(path: Path, release: str, figures: dict[str, int]) -> None:
    row = "\t".join([release, *map(str, figures.values())])
    path.write_text("\t".join(["release", *figures]) + "\n" + row + "\n", "utf-8", newline="\n")


if __name__ == "__main__":
    sys.exit(main())
