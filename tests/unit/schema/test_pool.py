"""The private descriptor pool: loaded at first use only, beside the vendor's own, its errors."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from decoder.errors import SchemaError
from decoder.schema import enum_descriptor, message_class
from decoder.schema.pool import files

ROOT = Path(__file__).resolve().parents[3]

BOTH = """
import {first}, {second}
from futu.common.pb import Trd_PlaceOrder_pb2 as vendor
from decoder.schema import body_class, enum_descriptor, enum_names

theirs = vendor.Request()
theirs.c2s.packetID.connID = 2**63
theirs.c2s.packetID.serialNo = 7
theirs.c2s.header.trdEnv = 1
theirs.c2s.header.accID = 281756455
theirs.c2s.header.trdMarket = 1
theirs.c2s.trdSide, theirs.c2s.orderType, theirs.c2s.code, theirs.c2s.qty = 1, 2, "00700", 100.0
ours = body_class(2202, "c2s").FromString(theirs.SerializeToString())
shown = enum_names(enum_descriptor("Trd_Common.OrderType"), "sdk")[ours.c2s.orderType]
again = vendor.Request.FromString(ours.SerializeToString())
assert again == theirs
print("decoded", shown, ours.c2s.code)
"""


def run(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    home = str(tmp_path)  # the SDK writes logs below the home folder
    environment = {**os.environ, "HOME": home, "USERPROFILE": home, "APPDATA": home, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=environment, check=False, cwd=tmp_path
    )


@pytest.mark.parametrize("module", ["decoder", "decoder.schema"])
def test_importing_does_no_schema_work(module: str, tmp_path: Path) -> None:
    done = run(tmp_path, "-X", "importtime", "-c", f"import {module}")
    assert done.returncode == 0, done.stderr
    imported = re.findall(r"\|\s+(\S+)$", done.stderr, re.MULTILINE)
    assert module in imported
    assert [name for name in imported if name.startswith(("google", "scapy", "rich"))] == []


@pytest.mark.skipif(not (find_spec("futu") and find_spec("pandas")), reason="futu-api is not installed, or not whole")
@pytest.mark.parametrize(("first", "second"), [("futu", "decoder"), ("decoder", "futu")])
def test_the_vendors_sdk_and_ours_decode_in_one_process(first: str, second: str, tmp_path: Path) -> None:
    done = run(tmp_path, "-c", BOTH.format(first=first, second=second))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "decoded MARKET 00700"


def test_an_unknown_message_or_enum_is_an_error_of_ours() -> None:
    with pytest.raises(SchemaError, match=r"Trd_PlaceOrdr\.Request"):
        message_class("Trd_PlaceOrdr.Request")
    with pytest.raises(SchemaError, match=r"Trd_Common\.OrdrType"):
        enum_descriptor("Trd_Common.OrdrType")


def test_the_file_with_our_options_is_not_among_the_gateways(vendor: Any) -> None:
    names = {file.name for file in files()}
    assert names >= vendor.protos.keys()
    assert not any(name.startswith("opend") for name in names)
