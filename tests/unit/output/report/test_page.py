"""The page as a whole: nothing is loaded, every link has its target, and it is small whatever comes in."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections import Counter
from importlib.resources import files

import pytest

from decoder.output.report.page import page
from tests.support.exchange import Exchange, frame, init_request, init_response, vendor
from tests.support.recorded import CAPTURES
from tests.support.reports import collected, of_recording
from tests.unit.output.report.test_collector import ticks
from tests.unit.output.report.test_markup import Reader

CBC = page(of_recording(CAPTURES / "cbc.pcap"), utc=True).decode()


def test_the_policy_lets_nothing_be_loaded_and_only_our_script_run() -> None:
    read = Reader(CBC)
    policy = next(value["content"] for name, value in read.tags if name == "meta" and "http-equiv" in value)
    assert policy is not None
    scripts = re.findall(r"<script>(.*?)</script>", CBC, re.DOTALL)
    assert len(scripts) == 1
    digest = b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; script-src 'sha256-{digest}';")
    assert "base-uri 'none'" in policy


def test_the_script_is_small_and_writes_no_markup() -> None:
    script = files("decoder.output.report").joinpath("report.js").read_bytes()
    assert len(script) <= 6_000
    assert b"innerHTML" not in script
    assert b"insertAdjacentHTML" not in script
    assert b"document.write" not in script


def test_no_link_and_no_source_leads_out_and_every_link_has_its_target() -> None:
    read = Reader(CBC)
    assert "http://" not in CBC
    assert "https://" not in CBC
    assert not {"src", "srcset", "data", "action", "style"} & {key for _, values in read.tags for key in values}
    targets = [values["href"] for _, values in read.tags if "href" in values]
    ids = Counter(values["id"] for _, values in read.tags if "id" in values)
    assert max(ids.values()) == 1
    assert len(targets) > 100
    assert {target for target in targets if target is None or target[1:] not in ids} == set()


def test_sections_stand_in_the_order_of_what_matters() -> None:
    names = re.findall(r'<section id="(\w+)"', CBC)
    assert names == [
        "rate",
        "findings",
        "latency",
        "lateness",
        "lanes",
        "orders",
        "connections",
        "protocols",
        "rates",
        "subscriptions",
        "messages",
    ]


def test_secrets_are_not_in_it() -> None:
    data = collected(Exchange().c2s(frame(1001, init_request(packetEncAlgo=-1))).s2c(frame(1001, init_response())))
    html = page(data, utc=True)
    assert b"0123456789ABCDEF" not in html
    assert b"FEDCBA9876543210" not in html


def test_a_small_capture_gives_a_small_page() -> None:
    assert len(CBC.encode()) < 200_000


def test_the_names_of_captures_show_without_their_folders() -> None:
    data = of_recording(CAPTURES / "cbc.pcap")
    assert str(CAPTURES) not in page(data, utc=True).decode()


def test_an_empty_capture_gives_a_page() -> None:
    assert b"0 messages" in page(collected(Exchange()), utc=True)


@pytest.mark.parametrize("utc", [True, False])
def test_the_zone_is_named(utc: bool) -> None:
    html = page(of_recording(CAPTURES / "cbc.pcap"), utc=utc).decode()
    assert ("Times are UTC." in html) is utc
    assert ("Times are local time, UTC" in html) is not utc


def test_the_page_is_bounded_whatever_comes_in() -> None:
    """Thousands of failing orders with texts of megabytes, of connections, of late pushes."""
    exchanges = [ticks(600)]
    place = vendor("Trd_PlaceOrder").Request()
    order = place.c2s
    order.header.trdEnv, order.header.accID, order.header.trdMarket = 1, 7, 1
    order.trdSide, order.orderType, order.code, order.qty, order.price = 1, 1, "<" * 300, 1, 1
    order.remark = "&" * 3_000
    answer = vendor("Trd_PlaceOrder").Response(retType=-1, retMsg='"' * 30_000).SerializeToString()
    for connection in range(700):
        exchange = Exchange(client_port=20_000 + connection).c2s(frame(1001, init_request(clientID="<" * 2_000)))
        exchange.s2c(frame(1001, init_response()))
        for number in range(4):
            order.packetID.connID, order.packetID.serialNo = connection, number
            exchange.c2s(frame(2202, place.SerializeToString(), serial_no=number))
            exchange.s2c(frame(2202, answer, serial_no=number))
        exchanges.append(exchange)
    data = collected(*exchanges)
    assert len(data.orders) == 2_800
    html = page(data, utc=True)
    assert len(html) < 2_000_000
    assert b"left out" in html
