"""Output files: complete or not at all, never through a link, private where they hold secrets."""

from __future__ import annotations

import os
import stat
import subprocess
import threading
from pathlib import Path

import click
import pytest

from decoder.cli.output_file import OutputFile
from decoder.errors import OpenDError
from tests.support.command import PLAIN, WITH_KEY, command, environment, opendump, posix, write

linux = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device that is always full")

EVERY_COMMAND = [
    ["decode", PLAIN],
    ["decode", PLAIN, "-V"],
    ["decode", PLAIN, "--format", "jsonl"],
    ["decode", PLAIN, "--format", "csv"],
    ["stats", PLAIN],
    ["stats", PLAIN, "--format", "json"],
    ["annotate", PLAIN],
    ["keys", *WITH_KEY],
    ["schema"],
    ["schema", "OrderStatus"],
]
OWN_OUTPUT = ("annotate", "keys")  # these have no output but that of -o


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_gets_its_name_when_it_is_complete(tmp_path: Path) -> None:
    path = write(tmp_path / "out", b"old")
    with OutputFile(str(path)) as file:
        file.write(b"new, ")
        assert path.read_bytes() == b"old"
        file.write(b"whole")
    assert path.read_bytes() == b"new, whole"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = write(tmp_path / "out", b"old")
    failing = pytest.raises(TypeError)
    with failing, OutputFile(str(path)) as file:
        file.write(b"half")
        file.write(None)  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_empty_result_is_a_file(tmp_path: Path) -> None:
    with OutputFile(str(tmp_path / "out")):
        pass
    assert (tmp_path / "out").read_bytes() == b""


@posix
@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_is_replaced_not_followed(dangling: bool, tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    if not dangling:
        target.write_bytes(b"precious")
    link.symlink_to(target)
    with OutputFile(str(link)) as file:
        file.write(b"data")
    assert (link.is_symlink(), link.read_bytes()) == (False, b"data")
    assert dangling is not target.exists()
    assert dangling or target.read_bytes() == b"precious"


@posix
def test_modes(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        for name, private in (("plain", False), ("secret", True)):
            with OutputFile(str(tmp_path / name), private=private):
                pass
        kept = write(tmp_path / "kept", b"")
        kept.chmod(0o604)
        with OutputFile(str(kept)):
            pass
        shared = write(tmp_path / "shared", b"")
        shared.chmod(0o666)
        with OutputFile(str(shared), private=True, force=True):
            pass
    finally:
        os.umask(old)
    assert [mode(tmp_path / name) for name in ("plain", "secret", "kept", "shared")] == [0o640, 0o600, 0o604, 0o600]


@posix
def test_a_private_file_is_private_while_it_is_written(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        with OutputFile(str(tmp_path / "out"), private=True) as file:
            file.write(b"secret")
            (part,) = tmp_path.iterdir()
            assert mode(part) == 0o600
    finally:
        os.umask(old)


def test_secrets_replace_nothing_unless_forced(tmp_path: Path) -> None:
    path = write(tmp_path / "out", b"old")
    with pytest.raises(OpenDError, match="--force"):
        OutputFile(str(path), private=True)
    with OutputFile(str(path), private=True, force=True) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"


def test_a_file_that_appears_while_secrets_are_written_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "out"
    refused = pytest.raises(OpenDError, match="exists already")
    with refused, OutputFile(str(path), private=True) as file:
        file.write(b"secret")
        path.write_bytes(b"of somebody else")
    assert path.read_bytes() == b"of somebody else"
    assert list(tmp_path.iterdir()) == [path]


def test_no_input_is_written_over(tmp_path: Path) -> None:
    capture = write(tmp_path / "a.pcap", b"packets")
    with pytest.raises(click.UsageError, match="one of the inputs"):
        OutputFile(str(capture), [str(capture)], force=True)
    log = write(tmp_path / "session.keys", b"OPEND_AES 1 00112233445566778899aabbccddeeff\n")
    assert opendump("decode", PLAIN, "--keylog", log, "-o", log).code == 2
    assert log.read_bytes().startswith(b"OPEND_AES")


@posix
def test_a_pipe_is_written_as_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    with OutputFile(str(pipe), private=True) as file:  # nothing is replaced
        file.write(b"data")
    reader.join(10)
    assert read == [b"data"]
    assert pipe.is_fifo()


@posix
def test_a_directory_that_cannot_be_written_to(tmp_path: Path) -> None:
    missing = tmp_path / "no" / "out"
    with pytest.raises(OpenDError, match=r"out: cannot be written: No such file"), OutputFile(str(missing)):
        pass
    if os.geteuid():
        tmp_path.chmod(0o500)
        with pytest.raises(OpenDError, match="Permission denied"), OutputFile(str(tmp_path / "out")):
            pass
        tmp_path.chmod(0o700)


@linux
@pytest.mark.parametrize("arguments", EVERY_COMMAND, ids=lambda arguments: " ".join(map(str, arguments[::2])))
@pytest.mark.parametrize("place", ["/dev/full", "-"])
def test_a_full_disk_is_one_line(arguments: list[str | Path], place: str) -> None:
    if place != "-" or arguments[0] in OWN_OUTPUT:
        arguments = [*arguments, "-o", place]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            command(*arguments), stdout=full, stderr=subprocess.PIPE, env=environment(), timeout=60, check=False
        )
    assert done.returncode == 1
    *_, last = done.stderr.decode().splitlines()
    name = "standard output" if place == "-" else place
    assert last == f"opendump: {name}: cannot be written: No space left on device"
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


@linux
@pytest.mark.parametrize("arguments", [["--help"], ["decode", "--help"], ["--version"]])
def test_help_on_a_full_disk(arguments: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            command(*arguments), stdout=full, stderr=subprocess.PIPE, env=environment(), timeout=60, check=False
        )
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert b"No space left on device" in done.stderr


@posix
@pytest.mark.parametrize(
    "arguments", [*EVERY_COMMAND, ["plan", PLAIN]], ids=lambda arguments: " ".join(map(str, arguments[::2]))
)
def test_a_closed_standard_output_is_one_line(arguments: list[str | Path]) -> None:
    if arguments[0] in OWN_OUTPUT:
        arguments = [*arguments, "-o", "-"]
    shell = ["sh", "-c", '"$@" >&-', "sh", *command(*arguments)]
    done = subprocess.run(shell, stderr=subprocess.PIPE, env=environment(), timeout=60, check=False)
    assert done.returncode == 1
    *_, last = done.stderr.decode().splitlines()
    assert last == "opendump: standard output is closed: give a file with -o"
    assert b"Traceback" not in done.stderr


@linux
def test_messages_that_cannot_be_written_do_not_stop_the_command() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            command("decode", PLAIN), stdout=subprocess.PIPE, stderr=full, env=environment(), timeout=60, check=False
        )
    assert done.returncode == 0
    assert done.stdout == opendump("decode", PLAIN).out.encode()


@pytest.mark.parametrize("arguments", EVERY_COMMAND, ids=lambda arguments: " ".join(map(str, arguments[::2])))
def test_a_dash_is_standard_output_everywhere(
    arguments: list[str | Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = subprocess.run(
        command(*arguments, "-o", "-"), capture_output=True, env=environment(), timeout=60, check=False
    )
    assert (done.returncode, bool(done.stdout)) == (0, True), done.stderr
    assert not list(tmp_path.iterdir())
    named = subprocess.run(
        command(*arguments, "-o", "file"), capture_output=True, env=environment(), timeout=60, check=False
    )
    assert (named.returncode, named.stdout) == (0, b"")
    assert (tmp_path / "file").read_bytes() == done.stdout


@posix
@pytest.mark.parametrize("form", [[], ["--format", "jsonl"], ["--format", "csv", "-e", "body"]])
def test_what_is_written_with_show_secrets_is_private(form: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert opendump("decode", *WITH_KEY, *form, "--show-secrets", "-o", out).code == 0
    assert mode(out) == 0o600
    again = opendump("decode", *WITH_KEY, *form, "--show-secrets", "-o", out)
    assert (again.code, again.err.count("\n")) == (1, 1)
    assert "--force" in again.err
    assert opendump("decode", *WITH_KEY, *form, "--show-secrets", "-o", out, "--force").code == 0


@posix
def test_annotate_with_secrets_is_private(tmp_path: Path) -> None:
    out = tmp_path / "out.pcapng"
    assert opendump("annotate", *WITH_KEY, "--show-secrets", "-o", out).code == 0
    assert mode(out) == 0o600
    assert opendump("annotate", *WITH_KEY, "--show-secrets", "-o", out).code == 1
    assert opendump("annotate", *WITH_KEY, "-o", out).code == 0


def test_a_file_name_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    assert "\x1b" not in opendump("decode", PLAIN, "-o", tmp_path / "\x1b[2J" / "x").err
