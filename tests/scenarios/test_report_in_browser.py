"""The report in a browser: nothing is loaded, everything is text, and it works with and without script."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.browser import Opened, chromium, running
from tests.support.command import opendump, pcap, write
from tests.support.exchange import Exchange, frame, init_request, init_response, refused, vendor
from tests.support.recorded import CAPTURES, DEMO_KEY, RECORDINGS, Recording

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CBC = CAPTURES / "cbc.pcap"
EVIL = "<script>window.pwned=1</script>\"'><img src=x onerror=window.pwned=2>&lt;\x1b[31m\u202eabc\u0000\x85"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running() as each:
        yield each


@pytest.fixture(scope="module")
def cbc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    chromium()
    return written(tmp_path_factory.mktemp("report") / "cbc.html", CBC, "--rsa-key", DEMO_KEY)


def written(output: Path, capture: Path, *options: Any) -> Path:
    done = opendump("report", capture, "--utc", "-o", output, *options)
    assert done.code == 0, done.err
    return output


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
def test_nothing_is_loaded_and_nothing_complains(browser: Browser, recording: Recording, tmp_path: Path) -> None:
    keys = [option for key in recording.rsa_keys for option in ("--rsa-key", key)]
    keys += [option for log in recording.keylog for option in ("--keylog", log)]
    report = written(tmp_path / "report.html", recording.path, *keys)
    opened = Opened(browser, report)
    assert opened.requests == [report.as_uri()]
    assert opened.complaints == []
    assert report.stat().st_size < 250_000
    opened.page.close()


def test_the_first_screen_answers(browser: Browser, cbc: Path) -> None:
    """Why the gateway stopped, what became of the orders, how slow it was: the sentence, counts and first picture."""
    opened = Opened(browser, cbc)
    assert "The gateway closed connection 0" in opened.text(".verdict")
    assert "The account has logged in somewhere else" in opened.text(".verdict")
    assert "7 orders: 2 failed, 2 refused, 1 filled, 1 cancelled, 1 unanswered." in opened.text(".verdict")
    assert "the slowest took 2.5 s" in opened.text(".verdict")
    assert "26 errors" in opened.text(".tiles")
    picture = opened.page.locator("#rate .plot").bounding_box()
    assert picture is not None
    assert picture["y"] + picture["height"] < 900
    opened.page.close()


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_all_is_there_without_script(browser: Browser, cbc: Path, script: bool) -> None:
    context = browser.new_context(java_script_enabled=script)
    page = context.new_page()
    page.goto(cbc.as_uri())
    for section in (
        "rate",
        "findings",
        "latency",
        "lateness",
        "lanes",
        "orders",
        "connections",
        "protocols",
        "messages",
    ):
        assert page.locator(f"#{section}").is_visible()
    assert page.locator("#orders .order").count() == 7
    assert "filled 300 at 400.2 in 15.5 ms" in page.locator("#orders").inner_text()
    assert page.locator("svg path.family2").count() == 1
    assert page.locator("#find").is_visible() is script
    context.close()


def test_a_deep_link_scrolls_marks_and_opens(browser: Browser, cbc: Path) -> None:
    opened = Opened(browser, cbc, "#m171")
    message = opened.page.locator("#m171")
    box = message.bounding_box()
    assert box is not None
    assert 0 <= box["y"] < 900
    assert 'remark: "fills in two steps"' in message.inner_text()
    other = opened.page.locator("#m172")
    background = "element => getComputedStyle(element).backgroundColor"
    assert message.evaluate(background) != other.evaluate(background)
    opened.page.close()


def test_search_finds_and_opens_what_is_folded(browser: Browser, cbc: Path) -> None:
    opened = Opened(browser, cbc)
    opened.page.fill("#find", "too far")
    rows = opened.page.locator(".row:visible")
    assert 0 < rows.count() < 10
    assert all("too far" in text for text in rows.all_inner_texts())
    assert re.fullmatch(r"\d+ rows match", opened.text("#found"))
    opened.page.fill("#find", "")
    assert opened.page.locator("#orders .order:visible").count() == 7
    opened.page.close()


def test_filters_by_severity_and_sorting(browser: Browser, cbc: Path) -> None:
    opened = Opened(browser, cbc)
    page = opened.page
    page.get_by_label("errors", exact=True).uncheck()
    assert page.locator(".group.error:visible").count() == 0
    assert page.locator(".group.warning:visible").count() > 0
    page.locator("#protocols-table th", has_text="slowest").get_by_role("button").click()
    first = page.locator("#protocols-table tbody tr").first.inner_text()
    assert "Qot_GetOrderBook" in first  # its response took 2.5 s, the longest of all
    page.locator("#protocols-table th", has_text="protocol").get_by_role("button").click()
    assert "Verification" in page.locator("#protocols-table tbody tr").first.inner_text()
    opened.page.close()


def test_the_filter_for_wireshark_is_copied(browser: Browser, cbc: Path) -> None:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(cbc.as_uri() + "#m171")
    page.locator("#m171 button", has_text="copy").click()
    page.wait_for_function("document.querySelector('#m171 button').textContent === 'copied'")
    assert page.evaluate("navigator.clipboard.readText()") == "frame.number in {238}"
    context.close()


def test_the_keyboard_reaches_everything(browser: Browser, cbc: Path) -> None:
    """Every control and link but the dots of the pictures, whose messages are linked from lists as well."""
    opened = Opened(browser, cbc)
    page = opened.page
    wanted = page.locator(
        "a[href]:not([tabindex='-1']):visible, button:visible, input:visible, summary:visible"
    ).count()
    reached = page.evaluate(
        """() => [...document.querySelectorAll("a[href], button, input, summary")].filter(
            (element) => element.tabIndex >= 0 && element.checkVisibility()
        ).length"""
    )
    assert reached == wanted > 100
    first = page.locator(".verdict a").first.get_attribute("href")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == first
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == first
    linked = set(page.evaluate("[...document.querySelectorAll('svg a')].map((a) => a.getAttribute('href'))"))
    shown = set(page.evaluate("[...document.querySelectorAll('article')].map((a) => '#' + a.id)"))
    assert linked <= shown
    opened.page.close()


CONTRAST = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const part = (v) => ((v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const color = parse(getComputedStyle(element).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return parse(getComputedStyle(document.body).backgroundColor);
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility() || ["SCRIPT", "STYLE", "title"].includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(parse(element.closest("svg") ? style.fill : style.color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    found.push([ratio, element.tagName + "." + element.className + ": " + element.textContent.slice(0, 40)]);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("fragment", ["", "#m171"])
def test_text_has_contrast_in_light_and_dark(browser: Browser, cbc: Path, scheme: Any, fragment: str) -> None:
    opened = Opened(browser, cbc, fragment, color_scheme=scheme)
    ratios = opened.page.evaluate(CONTRAST)
    assert len(ratios) > 300
    assert [what for ratio, what in ratios if ratio < 4.5] == []
    background = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") is (scheme == "light")
    opened.page.close()


@pytest.mark.parametrize("width", [360, 768, 1280, 1920])
def test_labels_do_not_collide_and_nothing_runs_out_of_the_page(browser: Browser, cbc: Path, width: int) -> None:
    opened = Opened(browser, cbc, viewport={"width": width, "height": 900})
    page = opened.page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for index in range(page.locator("svg.axis, svg.side").count()):
        labels = page.locator("svg.axis, svg.side").nth(index).locator("text:visible")
        boxes = [box for each in labels.all() if (box := each.bounding_box()) is not None]
        for one, other in itertools.pairwise(boxes):
            apart = one["x"] + one["width"] <= other["x"] or one["y"] + one["height"] <= other["y"] + 1
            assert apart or other["y"] + other["height"] <= one["y"] + 1
        assert all(box["x"] >= -1 and box["x"] + box["width"] <= width + 1 for box in boxes)
    opened.page.close()


def test_printing(browser: Browser, cbc: Path, tmp_path: Path) -> None:
    """Summary, findings, pictures and orders on A4, and no empty last page."""
    opened = Opened(browser, cbc)
    printed = opened.page.pdf(prefer_css_page_size=True)
    assert printed.startswith(b"%PDF")
    boxes = re.findall(rb"/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)\s*\]", printed)
    assert 1 < len(boxes) < 8
    assert {(round(float(width)), round(float(height))) for width, height in boxes} == {(595, 842)}
    opened.page.emulate_media(media="print")
    for section in ("rate", "findings", "latency", "orders"):
        assert opened.page.locator(f"#{section}").is_visible()
    for section in ("messages", "protocols", "connections"):
        assert not opened.page.locator(f"#{section}").is_visible()
    opened.page.close()


def hostile() -> bytes:
    """A session whose every text is an attack."""
    exchange = Exchange()
    exchange.c2s(frame(1001, init_request(clientID=EVIL, programmingLanguage=EVIL, packetEncAlgo=-1)))
    exchange.s2c(frame(1001, init_response()))
    notify = vendor("Notify").Response(retType=0)
    notify.s2c.type = 1
    notify.s2c.event.eventType, notify.s2c.event.desc = 9, EVIL
    exchange.s2c(frame(1003, notify.SerializeToString(), serial_no=1))
    place = vendor("Trd_PlaceOrder").Request()
    order = place.c2s
    order.packetID.connID, order.packetID.serialNo = 1, 2
    order.header.trdEnv, order.header.accID, order.header.trdMarket = 1, 7, 1
    order.trdSide, order.orderType, order.code, order.qty, order.price, order.remark = 1, 1, EVIL, 1, 1, EVIL
    exchange.c2s(frame(2202, place.SerializeToString(), serial_no=2))
    exchange.s2c(frame(2202, refused("Trd_PlaceOrder", EVIL), serial_no=2))
    update = vendor("Trd_UpdateOrder").Response(retType=0)
    update.s2c.header.CopyFrom(order.header)
    told = update.s2c.order
    told.trdSide, told.orderType, told.orderStatus, told.orderID, told.orderIDEx = 1, 1, 21, 5, EVIL
    told.code, told.name, told.qty, told.createTime, told.updateTime, told.lastErrMsg = EVIL, EVIL, 1, EVIL, EVIL, EVIL
    exchange.s2c(frame(2208, update.SerializeToString(), serial_no=2))
    exchange.c2s(frame(3004, b"\xff" * 40, serial_no=3))
    return pcap(exchange.fin())


def test_a_hostile_capture_shows_as_text(browser: Browser, tmp_path: Path) -> None:
    capture = write(tmp_path / "<img src=x onerror=window.pwned=3>.pcap", hostile())
    report = written(tmp_path / "report.html", capture)
    opened = Opened(browser, report)
    page = opened.page
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert opened.requests == [report.as_uri()]
    assert opened.complaints == []
    assert page.evaluate("window.pwned") is None
    assert page.locator("img, iframe, object, embed, link, base, form").count() == 0
    assert page.locator("script").count() == 1
    handlers = (
        "[...document.querySelectorAll('*')].flatMap((e) => [...e.attributes]).filter((a) => a.name.startsWith('on'))"
    )
    assert page.evaluate(f"{handlers}.length") == 0
    text = page.locator("body").inner_text()
    assert text.count("<script>window.pwned=1</script>") > 5
    assert "\\x1b[31m" in text
    assert "\\u202e" in text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text)
    page.fill("#find", "<script>")
    assert page.evaluate("window.pwned") is None
    page.close()


def test_rows_beyond_500_come_on_demand(browser: Browser, tmp_path: Path) -> None:
    exchanges = []
    for number in range(620):
        exchange = Exchange(client_port=20_000 + number).c2s(frame(1001, init_request(packetEncAlgo=-1)))
        exchanges.append(exchange.s2c(frame(1001, init_response())))
    report = written(tmp_path / "report.html", write(tmp_path / "many.pcap", pcap(*exchanges)))
    opened = Opened(browser, report)
    rows = opened.page.locator("#connections-table tbody tr")
    assert rows.count() == 500
    opened.page.get_by_role("button", name="Show the other rows").click()
    opened.page.wait_for_function("document.querySelectorAll('#connections-table tbody tr').length === 620")
    assert "192.0.2.1:20619" in rows.last.inner_text()
    assert opened.complaints == []
    opened.page.close()
