"""Options on fields and messages: which are secret, at any depth."""

from __future__ import annotations

from decoder.schema import (
    has_secrets,
    is_secret,
    message_class,
)
from decoder.schema.describe import all_messages
from decoder.schema.pool import files
from tests.support.vendor_schema import SECRETS


def test_the_secrets_are_these_and_no_others() -> None:
    found = {
        message.full_name: {field.name for field in message.fields if is_secret(field)}
        for file in files()
        for message in all_messages(file)
    }
    assert {name: names for name, names in found.items() if names} == SECRETS


def test_a_message_with_secrets_anywhere_inside_says_so() -> None:
    assert has_secrets(message_class("InitConnect.Response").DESCRIPTOR)
    assert has_secrets(message_class("Trd_UnlockTrade.Request").DESCRIPTOR)
    assert not has_secrets(message_class("InitConnect.Request").DESCRIPTOR)
    assert not has_secrets(message_class("Trd_PlaceOrder.Request").DESCRIPTOR)


def test_secrets_are_found_in_a_message_that_holds_itself() -> None:
    from google.protobuf.descriptor_pb2 import FileDescriptorProto
    from google.protobuf.descriptor_pool import DescriptorPool

    proto = FileDescriptorProto(name="ring.proto", package="ring", syntax="proto2")
    for name, other in (("A", "B"), ("B", "A")):
        message = proto.message_type.add(name=name)
        message.field.add(name="next", number=1, type=11, label=1, type_name=f".ring.{other}")
    proto.message_type[1].field.add(name="key", number=2, type=9, label=1).options.debug_redact = True
    pool = DescriptorPool()
    pool.AddSerializedFile(proto.SerializeToString())
    assert has_secrets(pool.FindMessageTypeByName("ring.A"))
