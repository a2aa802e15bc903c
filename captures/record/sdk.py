"""Listens at the seams of the official SDK and writes down what it sends and receives, without changing a byte.

Four functions of the SDK are wrapped. Each wrapper calls the original with its own arguments and returns its result.

* ``utils._joint_head``: the plaintext of a request and the frame that the SDK made of it.
* ``NetManager.do_send``: the moment at which a frame goes to the socket, and to which connection.
* ``OpenContextBase.on_recv``: which connection the bytes that are parsed next belong to.
* ``utils.decrypt_rsp_body``, ``utils.binary2pb``: what the SDK decrypted, its verdict, and what it parsed.
"""

from __future__ import annotations

import time
from typing import Any

import futu
from futu.common import network_manager, open_context_base, sys_config, utils
from futu.common.conn_mng import FutuConnMng
from futu.common.constant import ProtoId
from futu.common.open_context_base import OpenContextBase

from . import vendor
from .journal import Entry, Journal, endpoint, now, sha1_hex
from .wire import HEADER

QUERY_TIMEOUT = 1.0  # seconds instead of 12, so that a recording of an unanswered request stays short


class SdkJournal(Journal):
    """The client's journal; ``attach()`` once per process, before the first context is opened."""

    def __init__(self) -> None:
        super().__init__()
        self._packed: dict[bytes, tuple[bytes, str, dict[str, Any]]] = {}
        self._client = ""
        self._pending: Entry | None = None
        self._jammed: set[str] = set()  # clients whose SDK fails on the same message again and again

    def attach(self) -> None:
        joint_head = utils._joint_head
        do_send = network_manager.NetManager.do_send
        on_recv = OpenContextBase.on_recv
        decrypt_rsp_body = utils.decrypt_rsp_body
        binary2pb = utils.binary2pb

        def spy_joint_head(
            proto_id: int, fmt: int, body_len: int, body: Any, conn_id: int, serial_no: int, is_encrypt: bool
        ) -> Any:
            result = joint_head(proto_id, fmt, body_len, body, conn_id, serial_no, is_encrypt)
            if fmt == vendor.PROTOBUF:
                plaintext, message = body.SerializeToString(), body
            else:
                plaintext, message = body, vendor.parse(body, fmt, vendor.new(proto_id, "Request"))
            encryption = self._encryption(proto_id, conn_id, is_encrypt, rsa=sys_config.SysConfig.INIT_RSA_FILE != "")
            self._packed[result[2]] = plaintext, encryption, vendor.to_dict(message)
            return result

        def spy_do_send(manager: Any, conn_id: int, data: bytes) -> Any:
            connection = manager._get_conn(conn_id)
            if connection is not None and connection.status == network_manager.ConnStatus.Connected:
                self._sent(endpoint(connection.sock.getsockname()), data)
            return do_send(manager, conn_id, data)

        def spy_on_recv(context: Any, conn_id: int, data: bytes) -> Any:
            self._client = endpoint(context._net_mgr._get_conn(conn_id).sock.getsockname())
            return on_recv(context, conn_id, data)

        def spy_decrypt(body: bytes, head: dict[str, Any], conn_id: int, is_encrypt: bool) -> Any:
            result = decrypt_rsp_body(body, head, conn_id, is_encrypt)
            self._received(bytes(body), head, conn_id, is_encrypt, result)
            return result

        def spy_binary2pb(body: bytes, proto_id: int, fmt: int) -> Any:
            try:
                message = binary2pb(body, proto_id, fmt)
            except Exception as error:
                if self._pending is not None:
                    self._pending.error = repr(error)
                    self._jammed.add(self._client)
                raise
            if self._pending is not None and message is not None:
                self._pending.body = vendor.to_dict(message)
            return message

        utils._joint_head = spy_joint_head
        network_manager.NetManager.do_send = spy_do_send
        OpenContextBase.on_recv = spy_on_recv
        utils.decrypt_rsp_body = spy_decrypt
        utils.binary2pb = spy_binary2pb

    def _sent(self, client: str, data: bytes) -> None:
        plaintext, encryption, body = self._packed.pop(data)
        head = utils.parse_head(data[: HEADER.size])
        self.add(
            Entry(
                client=client,
                direction="c2s",
                proto_id=head["proto_id"],
                serial_no=head["serial_no"],
                kind="request",
                format=vendor.FORMATS[head["proto_fmt_type"]],
                encryption=encryption,
                wire_sha1=sha1_hex(data[HEADER.size :]),
                sha1=head["sha20"].hex(),
                plaintext=plaintext.hex(),
                body=body,
                time_ns=now(),
            )
        )

    def _received(self, wire: bytes, head: dict[str, Any], conn_id: int, is_encrypt: bool, result: Any) -> None:
        if self._client in self._jammed:
            self._pending = None
            return
        ret, message, plaintext = result
        readable = ret == futu.RET_OK
        proto_id = head["proto_id"]
        self._pending = Entry(
            client=self._client,
            direction="s2c",
            proto_id=proto_id,
            serial_no=head["serial_no"],
            kind="push" if ProtoId.is_proto_id_push(proto_id) else "response",
            format=vendor.FORMATS[head["proto_fmt_type"]],
            encryption=self._encryption(proto_id, conn_id, is_encrypt, rsa=is_encrypt) if readable else "unknown",
            wire_sha1=sha1_hex(wire),
            sha1=head["sha20"].hex() if readable else None,
            plaintext=bytes(plaintext).hex() if readable else None,
            body=None,
            time_ns=now(),
            error=None if readable else str(message),
        )
        self.add(self._pending)

    @staticmethod
    def _encryption(proto_id: int, conn_id: int, is_encrypt: bool, rsa: bool) -> str:
        if proto_id == ProtoId.InitConnect:
            return "RSA" if rsa else "None"
        if not is_encrypt:
            return "None"
        return "FTAES_ECB" if FutuConnMng.get_conn_info(conn_id)["conn_iv"] is None else "AES_CBC"


class Ipv6Socket:
    """Stands in for the ``socket`` module that the SDK connects with: it asks for IPv4 only, whatever the host."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def socket(self, family: int, *arguments: Any) -> Any:
        return self._module.socket(self._module.AF_INET6, *arguments)


def use_ipv6() -> None:
    """Let the SDK connect to an IPv6 address; what it sends stays as it is."""
    network_manager.socket = Ipv6Socket(network_manager.socket)


def retry_once() -> None:
    """Of the SDK's endless attempts to connect let only the first two happen, half a second apart (not 6 s)."""
    pauses = iter([0.5])
    open_context_base.sleep = lambda _: time.sleep(next(pauses, 3600))


def expect(result: Any, code: int = futu.RET_OK) -> Any:
    """Check the return code of an SDK call and pass on its data; a recording of surprises is of no use."""
    if result[0] != code:
        raise RuntimeError(f"the SDK returned {result[0]}: {result[1]}")
    return result[1]
