"""``opendump wireshark``: give Wireshark what it needs to show messages by name."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import click

from decoder.cli.options import version_option
from decoder.errors import OpenDError
from decoder.formatting.escape import escape

__all__ = ["Folders", "wireshark"]

_ASK_SECONDS = 20
"""Longest wait for tshark's answer where its folders are."""
_SCHEMA_FOLDER = "opendump"
"""Folder of the schema in Wireshark's configuration."""


@click.command()
@click.option("--install", is_flag=True, help="Write the dissector and the profile OpenD into Wireshark's folders.")
@click.option("--uninstall", is_flag=True, help="Remove what --install wrote.")
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    type=click.Path(file_okay=False),
    help="Write the dissector (opend.lua) and the schema (.proto files) into DIR, which is made if need be.",
)
@version_option
@click.pass_context
def wireshark(ctx: click.Context, install: bool, uninstall: bool, output: str | None) -> None:
    """Examples:

    \b
      opendump wireshark --install           then: wireshark -C OpenD clear.pcapng
      opendump wireshark --uninstall
      opendump wireshark -o plugin
      tshark -X lua_script:plugin/opend.lua -o 'uat:protobuf_search_paths:"plugin","TRUE"' -V -r clear.pcapng

    Wireshark and tshark then show every message that is in clear as a tree with the names of fields and enum values.
    Encrypted traffic has to be written in clear first: opendump rewrite.

    A file that opendump did not write is never changed.
    """
    if install + uninstall + (output is not None) != 1:
        raise click.UsageError("give one of --install, --uninstall and -o DIR", ctx)
    from decoder.cli.run import say

    if output is not None:
        folder = os.path.abspath(output)
        say(f"{_write(_plugin_files(Path(folder)))} files written to {folder}")
        paths = f'uat:protobuf_search_paths:"{folder}","TRUE"'
        say(f"tshark -X lua_script:{os.path.join(folder, 'opend.lua')} -o '{paths}' -V -r CAPTURE")
    elif install:
        _install(Folders.find())
    else:
        _uninstall(Folders.find())


class Folders(NamedTuple):
    """Wireshark's folders of this user."""

    configuration: Path
    lua_plugins: Path

    @classmethod
    def find(cls) -> Folders:
        """Asks tshark or Wireshark; without an answer follows the rules of its documentation."""
        for program in filter(None, (shutil.which("tshark"), wireshark_program())):
            answer = _ask(program)
            configuration, plugins = (
                re.search(rf"^{name}:[ \t]*(\S.*?)[ \t]*$", answer, re.M)
                for name in ("Personal configuration", "Personal Lua Plugins")
            )
            if configuration and plugins:
                return cls(Path(configuration[1]), Path(plugins[1]))
        return cls.by_rule(sys.platform, dict(os.environ), Path.home())

    @classmethod
    def by_rule(cls, platform: str, environment: dict[str, str], home: Path) -> Folders:
        """Returns the folders of a platform (source: Wireshark User's Guide, "Files and Folders")."""
        own = environment.get("WIRESHARK_CONFIG_DIR")
        if platform == "win32":
            configuration = Path(own or Path(environment.get("APPDATA", home), "Wireshark"))
            return cls(configuration, configuration / "plugins")
        configuration = Path(own or Path(environment.get("XDG_CONFIG_HOME") or home / ".config", "wireshark"))
        return cls(configuration, home / ".local" / "lib" / "wireshark" / "plugins")

    @property
    def schema(self) -> Path:
        """Folder of the .proto files."""
        return self.configuration / _SCHEMA_FOLDER

    @property
    def profile(self) -> Path:
        """Folder of our profile."""
        from decoder.output.wireshark_profile import PROFILE

        return self.configuration / "profiles" / PROFILE


def wireshark_program() -> str | None:
    """Returns the path of Wireshark, if it is installed."""
    found = shutil.which("wireshark")
    places = [
        "/Applications/Wireshark.app/Contents/MacOS/Wireshark",
        os.path.join(os.environ.get("PROGRAMFILES", r"C:\Program Files"), "Wireshark", "Wireshark.exe"),
    ]
    return found or next((place for place in places if os.path.isfile(place)), None)


def _ask(program: str) -> str:
    try:
        done = subprocess.run(
            [program, "-G", "folders"], capture_output=True, text=True, timeout=_ASK_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


def _install(folders: Folders) -> None:
    from decoder.cli.run import say
    from decoder.output.wireshark_profile import PROFILE, profile_files, search_path

    schema = str(folders.schema.absolute())
    files = _plugin_files(folders.schema, lua_folder=folders.lua_plugins)
    files |= {folders.profile / name: text for name, text in profile_files(schema).items()}
    default = folders.configuration / "protobuf_search_paths"
    if _is_ours(default) is not False:
        files[default] = search_path(schema)
    say(f"{_write(files)} files written to {folders.configuration} and {folders.lua_plugins}")
    if default not in files:
        say(
            f"{default} was not written by opendump and stays: names show in the profile {PROFILE}; for the default "
            f"profile add {schema} under Preferences, Protocols, ProtoBuf, Protobuf search paths"
        )
    say(f"now: wireshark -C {PROFILE} CAPTURE")


def _uninstall(folders: Folders) -> None:
    from decoder.cli.run import counted, say
    from decoder.output.wireshark_profile import profile_files

    files = [*_plugin_files(folders.schema, lua_folder=folders.lua_plugins)]
    files += [folders.profile / name for name in profile_files("")]
    files.append(folders.configuration / "protobuf_search_paths")
    removed = 0
    for path in files:
        ours = _is_ours(path)
        if ours is False:
            say(f"{path} was not written by opendump and stays")
        elif ours:
            try:
                path.unlink()
            except OSError as error:
                raise OpenDError(f"{path}: cannot be removed: {error.strerror or error}") from None
            removed += 1
    for folder in (folders.schema, folders.profile):
        with suppress(OSError):  # somebody else has files there, or it never was
            folder.rmdir()
    say(f"{counted(removed, 'file')} removed")


def _plugin_files(folder: Path, lua_folder: Path | None = None) -> dict[Path, str]:
    from decoder.output.wireshark import LUA_NAME, dissector, proto_files

    files = {folder / name: text for name, text in proto_files().items()}
    files[(lua_folder or folder) / LUA_NAME] = dissector()
    return files


def _is_ours(path: Path) -> bool | None:
    """True for a file that opendump wrote, False for any other, None if there is none."""
    from decoder.output.wireshark_profile import MARK

    if not os.path.lexists(path):
        return None
    try:
        if path.is_symlink() or not path.is_file():
            return False
        with open(path, encoding="utf-8", errors="replace") as file:
            return MARK in file.read(200)
    except OSError:
        return False


def _write(files: dict[Path, str]) -> int:
    """Writes all of `files`, or none if one of them would replace a file that is not ours; returns their number."""
    from decoder.cli.output_file import OutputFile

    for path in files:
        if _is_ours(path) is False:
            raise OpenDError(f"{escape(str(path))}: exists and was not written by opendump; move it away first")
    for path, text in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OpenDError(f"{escape(str(path.parent))}: cannot be made: {error.strerror or error}") from None
        with OutputFile(str(path)) as file:
            file.write(text.encode())
    return len(files)
