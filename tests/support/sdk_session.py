"""Runs the official SDK against the mock gateway of captures/record, and writes down what both ends saw.

    python -m tests.support.sdk_session PORT SECONDS FILE

waits for a line on standard input before it begins, so that a capture can be started first.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from pathlib import Path

import futu
from futu.common import ft_logger, utils
from futu.common.sys_config import SysConfig

from captures.record import quotes, sdk, system, trading
from captures.record.gateway import Gateway, Profile
from captures.record.merge import merge

KEY = Path(__file__).resolve().parents[2] / "captures" / "demo_rsa_key.pem"
CODES = ["HK.00700", "US.AAPL"]


def run(port: int, seconds: float, target: Path) -> None:
    """Subscribes, asks, places an order, gets pushes; leaves the messages in `target`, as captures/*.expected.jsonl."""
    ft_logger.logger.console_level = 100
    SysConfig.set_all_thread_daemon(True)
    desk = trading.Desk(utils.md5_transform(trading.PASSWORD))
    gateway = Gateway("127.0.0.1", port, system.answers() | quotes.answers() | desk.answers())
    client = sdk.SdkJournal()
    client.attach()
    print("ready", flush=True)
    sys.stdin.readline()
    SysConfig.set_init_rsa_file(str(KEY))
    SysConfig.enable_proto_encrypt(True)
    gateway.profile = Profile(KEY, "AES_CBC")
    context = futu.OpenQuoteContext("127.0.0.1", port)
    sdk.expect(context.subscribe(CODES, [futu.SubType.QUOTE, futu.SubType.ORDER_BOOK]))
    trade = futu.OpenSecTradeContext(futu.TrdMarket.HK, "127.0.0.1", port)
    sdk.expect(trade.unlock_trade(trading.PASSWORD))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sdk.expect(context.get_stock_quote(CODES))
        sdk.expect(context.get_order_book(CODES[0]))
        sdk.expect(trade.position_list_query())
    context.close()
    trade.close()
    time.sleep(0.5)
    messages = merge(client._entries, gateway.journal._entries, 0)
    target.write_text("".join(json.dumps(message) + "\n" for message in messages), "utf-8")
    print("done", flush=True)


if __name__ == "__main__":
    port, seconds, target = sys.argv[1:]
    status = 1
    try:
        run(int(port), float(seconds), Path(target))
        status = 0
    except Exception:
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(status)  # the SDK keeps threads that never end
