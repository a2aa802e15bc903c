"""The official SDK and the decoder in one process: both define Common.proto, and neither may notice the other."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.support.recorded import CAPTURES, DEMO_KEY

pytest.importorskip("futu")

USE_SDK = """
from futu.common.pb import Notify_pb2, Trd_PlaceOrder_pb2
notify = Notify_pb2.Response(retType=0)
notify.s2c.type = Notify_pb2.NotifyType_ProgramStatus
notify.s2c.programStatus.programStatus.type = 4
data = notify.SerializeToString()
assert Notify_pb2.Response.FromString(data) == notify
"""
USE_DECODER = f"""
messages = list(decoder.read({str(CAPTURES / "cbc.pcap")!r}, rsa_keys=[{str(DEMO_KEY)!r}]))
assert {{m.verdict for m in messages}} == {{"verified"}}
bodies = [m.body for m in messages]
ours = next(m.protobuf for m in messages if m.proto == "Notify")
"""
COMPARE = """
import json
assert type(ours) is not Notify_pb2.Response
assert ours.DESCRIPTOR.file.pool is not notify.DESCRIPTOR.file.pool
assert Notify_pb2.Response.FromString(ours.SerializeToString()).SerializeToString() == ours.SerializeToString()
print(json.dumps([len(messages), sum(body is not None for body in bodies)]))
"""
ORDERS = {
    "SDK first": "import futu, decoder" + USE_SDK + USE_DECODER,
    "decoder first": "import decoder, futu" + USE_DECODER + USE_SDK,
    "SDK after decoding": "import decoder" + USE_DECODER + "import futu" + USE_SDK,
    "decoding after the SDK": "import futu" + USE_SDK + "import decoder" + USE_DECODER,
}


@pytest.mark.parametrize(("order", "implementation"), [*((order, "upb") for order in ORDERS), ("SDK first", "python")])
def test_both_work_in_one_process(order: str, implementation: str) -> None:
    environment = {**os.environ, "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": implementation}
    done = subprocess.run(
        [sys.executable, "-c", ORDERS[order] + COMPARE], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [254, 254]
