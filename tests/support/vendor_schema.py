"""Loads the vendor's own schema, as descriptors and classes in a pool of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from tests.tools.vendor_schema import read_protos

# Facts of the vendor's documentation: the fields that hold keys, passwords and codes.
SECRETS = {
    "GetUserInfo.S2C": {"webKey", "webJumpUrlHead"},
    "InitConnect.S2C": {"connAESKey", "aesCBCiv"},
    "InitWebSocket.C2S": {"RSAPrivateKey", "websocketKey"},
    "TestCmd.C2S": {"cmd", "paramStr", "paramBytes"},
    "TestCmd.S2C": {"cmd", "resultStr", "resultBytes"},
    "Trd_UnlockTrade.C2S": {"pwdMD5"},
    "Verification.C2S": {"code"},
}


class Vendor:
    """Descriptors of the installed futu-api; none of its code is run."""

    def __init__(self, folder: Path, version: str) -> None:
        self.folder = folder
        self.version = version
        self.protos = {proto.name: proto for proto in read_protos(folder)}
        self.pool = DescriptorPool()
        added: set[str] = set()
        for name in self.protos:
            self._add(name, added)
        self.files = [self.pool.FindFileByName(name) for name in self.protos]
        self.messages = {message.full_name: message for message in self._messages()}
        self.enums = {enum.full_name: enum for file in self.files for enum in file.enum_types_by_name.values()}

    def _add(self, name: str, added: set[str]) -> None:
        if name not in added:
            added.add(name)
            for needed in self.protos[name].dependency:
                self._add(needed, added)
            self.pool.AddSerializedFile(self.protos[name].SerializeToString())

    def _messages(self) -> Iterator[Any]:
        todo = [message for file in self.files for message in file.message_types_by_name.values()]
        while todo:
            message = todo.pop()
            todo += message.nested_types
            yield message

    def message_class(self, full_name: str) -> Any:
        return GetMessageClass(self.messages[full_name])
