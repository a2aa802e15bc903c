"""The command `wireshark`: what it writes where, and that it leaves alone what is not its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import decoder
from decoder import Message
from decoder.cli.wireshark import Folders
from tests.support.command import environment, opendump, posix
from tests.support.recorded import CAPTURES, DEMO_KEY


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    folder = tmp_path / "home"
    folder.mkdir()
    for name in ("XDG_CONFIG_HOME", "WIRESHARK_CONFIG_DIR", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    return {"HOME": str(folder), "APPDATA": str(folder)}


def tree(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text("utf-8") for path in sorted(folder.rglob("*")) if path.is_file()
    }


def test_one_dissector_and_the_schema_in_a_folder(tmp_path: Path) -> None:
    result = opendump("wireshark", "-o", tmp_path / "plugin")
    assert result.code == 0
    names = sorted(path.name for path in (tmp_path / "plugin").iterdir())
    assert [name for name in names if not name.endswith(".proto")] == ["opend.lua"]
    assert {"Trd_PlaceOrder.proto", "Common.proto", "Qot_UpdateTicker.proto"} <= set(names)
    assert f"lua_script:{tmp_path / 'plugin' / 'opend.lua'}" in result.err
    assert opendump("wireshark", "-o", tmp_path / "plugin").code == 0  # what is ours is written anew


def test_nothing_is_written_where_a_file_is_somebody_elses(tmp_path: Path) -> None:
    (tmp_path / "Common.proto").write_text("mine")
    result = opendump("wireshark", "-o", tmp_path)
    assert (result.code, "Common.proto: exists and was not written by opendump" in result.err) == (1, True)
    assert tree(tmp_path) == {"Common.proto": "mine"}


@posix
def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("Written by opendump")
    (tmp_path / "plugin").mkdir()
    (tmp_path / "plugin" / "opend.lua").symlink_to(target)
    assert opendump("wireshark", "-o", tmp_path / "plugin").code == 1
    assert target.read_text() == "Written by opendump"


@pytest.mark.parametrize("arguments", [[], ["--install", "--uninstall"], ["--install", "-o", "x"]])
def test_one_thing_at_a_time(arguments: list[str]) -> None:
    assert opendump("wireshark", *arguments).code == 2


@posix
def test_install_and_uninstall_leave_nothing(home: dict[str, str]) -> None:
    result = opendump("wireshark", "--install", **home)
    assert result.code == 0, result.err
    files = tree(Path(home["HOME"]))
    assert ".local/lib/wireshark/plugins/opend.lua" in files
    assert files[".config/wireshark/profiles/OpenD/protobuf_search_paths"].endswith(
        f'"{home["HOME"]}/.config/wireshark/opendump","TRUE"\n'
    )
    assert opendump("wireshark", "--uninstall", **home).code == 0
    assert tree(Path(home["HOME"])) == {}


@posix
def test_what_the_user_has_stays(home: dict[str, str]) -> None:
    configuration = Path(home["HOME"], ".config", "wireshark")
    (configuration / "profiles" / "OpenD").mkdir(parents=True)
    own = configuration / "protobuf_search_paths"
    own.write_text('"/mine","TRUE"\n')
    result = opendump("wireshark", "--install", **home)
    assert result.code == 0
    assert "protobuf_search_paths was not written by opendump and stays" in result.err
    changed = configuration / "profiles" / "OpenD" / "preferences"
    changed.write_text("# saved by Wireshark\n")
    removed = opendump("wireshark", "--uninstall", **home)
    assert "preferences was not written by opendump and stays" in removed.err
    assert sorted(tree(configuration)) == ["profiles/OpenD/preferences", "protobuf_search_paths"]


def test_folders_by_rule() -> None:
    home = Path("/home/ada")
    for platform in ("linux", "darwin"):
        assert Folders.by_rule(platform, {}, home) == (
            home / ".config/wireshark", home / ".local/lib/wireshark/plugins",
        )  # fmt: skip
    assert Folders.by_rule("linux", {"XDG_CONFIG_HOME": "/x"}, home).configuration == Path("/x/wireshark")
    assert Folders.by_rule("linux", {"WIRESHARK_CONFIG_DIR": "/w"}, home).configuration == Path("/w")
    windows = Folders.by_rule("win32", {"APPDATA": "/appdata"}, home)
    assert windows == (Path("/appdata/Wireshark"), Path("/appdata/Wireshark/plugins"))


@posix
@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_the_folders_are_those_that_tshark_names(home: dict[str, str]) -> None:
    env = environment(**home)
    run = subprocess.run(["tshark", "-G", "folders"], capture_output=True, text=True, check=True, env=env)
    rule = Folders.by_rule("linux", {}, Path(home["HOME"]))
    assert str(rule.configuration) in run.stdout
    assert str(rule.lua_plugins) in run.stdout


@posix
@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("profile", [[], ["-C", "OpenD"]], ids=["default profile", "profile OpenD"])
def test_an_order_is_shown_and_filtered_by_name(home: dict[str, str], profile: list[str], tmp_path: Path) -> None:
    clear = tmp_path / "clear.pcapng"
    assert opendump("rewrite", CAPTURES / "cbc.pcap", "--rsa-key", DEMO_KEY, "-o", clear).code == 0
    assert opendump("wireshark", "--install", **home).code == 0
    env = {**os.environ, **environment(**home)}
    wanted = 'pbf.Trd_PlaceOrder.C2S.orderType == "OrderType_Normal"'
    command = ["tshark", *profile, "-r", str(clear), "-Y", wanted, "-V"]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    orders = [m for m in decoder.read(clear) if isinstance(m, Message) and m.proto == "Trd_PlaceOrder"]
    normal = [
        m
        for m in orders
        if m.kind == "request" and (m.to_dict("proto") or {})["c2s"]["orderType"] == "OrderType_Normal"
    ]
    assert run.stdout.count("orderType: OrderType_Normal (1)") == len(normal) > 0
    assert run.stdout.count("OpenD Trd_PlaceOrder request") == len(normal)
