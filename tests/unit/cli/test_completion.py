"""Shell completion, as a shell asks for it, and the manual page."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from decoder import schema
from decoder.cli.completion import complete_column, complete_filter, complete_schema_name
from decoder.cli.main import cli
from tests.support.command import environment
from tests.tools.man_page import page

NOWHERE = (click.Context(cli), click.Option(["--x"]))


def completed(words: str) -> list[str]:
    """What bash is told about the last word."""
    program = "import sys; sys.argv[0] = 'opendump'; from decoder.cli.main import main; main()"
    more = {"_OPENDUMP_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(**more), capture_output=True, text=True, check=True
    )
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_commands_and_choices() -> None:
    assert completed("opendump sch") == ["schema"]
    assert completed("opendump decode --enums s") == ["sdk"]
    assert "--where" in completed("opendump decode --wh")


def test_protocols_and_enums() -> None:
    assert {"Trd_PlaceOrder", "Trd_PlaceOrder.C2S"} <= set(completed("opendump schema Trd_PlaceO"))
    assert "OrderStatus" in complete_schema_name(*NOWHERE, "orderst")
    everything = {known.name for known in schema.protocols()}
    assert everything <= {
        name for start in {n[:5] for n in everything} for name in complete_schema_name(*NOWHERE, start)
    }


@pytest.mark.parametrize(
    ("start", "found"),
    [
        ("pro", "proto"),
        ("symb", "symbol"),
        ("proto=Trd_Unl", "proto=Trd_UnlockTrade"),
        ("kind=push and proto=Noti", "kind=push and proto=Notify"),
        ("(proto!=Keep", "(proto!=KeepAlive"),
        ("verdict=", "verdict=failed"),
        ("ret_type=RET_O", "ret_type=RET_OK"),
        ("body.s2c.order.orderSt", "body.s2c.order.orderStatus"),
        ("body.s2c.order.orderStatus=FILLED_A", "body.s2c.order.orderStatus=FILLED_ALL"),
        ("proto in (Trd_PlaceOrder, dire", "proto in (Trd_PlaceOrder, direction"),
    ],
)
def test_filters(start: str, found: str) -> None:
    offered = complete_filter(*NOWHERE, start)
    assert found in offered
    assert all(offer.casefold().startswith(start.casefold()) for offer in offered)


def test_what_has_no_names() -> None:
    assert complete_filter(*NOWHERE, "number=1") == []
    assert complete_filter(*NOWHERE, "body.c2s.nothing=") == []
    assert complete_filter(*NOWHERE, "body.nothing.x") == []


def test_columns() -> None:
    assert complete_column(*NOWHERE, "time,sym") == ["time,symbol"]
    assert "body.c2s.qty" in complete_column(*NOWHERE, "body.c2s.q")


def test_the_manual_page_has_every_command_and_option() -> None:
    text = page().replace("\\-", "-")
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        assert f"\n.SS {name}\n" in text
        for param in command.params:
            for option in param.opts if isinstance(param, click.Option) else []:
                assert option in text


def test_the_manual_page_is_clean(tmp_path: Path) -> None:
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("groff is not installed")
    file = tmp_path / "opendump.1"
    file.write_text(page(), encoding="utf-8")
    done = subprocess.run(
        [groff, "-man", "-ww", "-Kutf8", "-Tutf8", str(file)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stderr == ""
    assert "opendump decode day.pcapng --where" in done.stdout.replace("\u2010", "-")
