"""Lists the code of every finding: its subject, its meaning and what to do about it.

The table in ``docs/findings.md`` is made from this one by ``tests/tools/findings_table.py``.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CODES", "MEANINGS", "Code"]


class Code(NamedTuple):
    """Describes a code."""

    meaning: str
    remedy: str
    """Next step; the text of a finding gives it with the facts of the case."""


SUBJECTS: dict[str, dict[str, Code]] = {
    "Can the traffic be read?": {
        "no-key": Code("messages are encrypted and no key was given", "give OpenD's RSA private key with --rsa-key"),
        "wrong-key": Code(
            "messages are encrypted and no key that was tried opens them",
            "give the key file that OpenD's rsa_private_key setting names",
        ),
        "handshake-missing": Code(
            "messages are encrypted and the capture lacks the exchange of their key",
            "record from the start of the connection, or give a key log with --keylog",
        ),
        "truncated": Code("messages were cut by the snap length", "record with tcpdump -s 0"),
        "incomplete": Code("messages lack bytes that the capture does not have", "record with a larger buffer"),
        "oversize": Code("messages claim a length over the limit", "raise --max-memory if they are real"),
        "sha1-mismatch": Code(
            "a message does not have the SHA-1 in its header", "look for damage on the way, or a bug of the sender"
        ),
        "sha1-of-ciphertext": Code(
            "the sender hashes the ciphertext instead of the plaintext", "report it to the author of the SDK"
        ),
        "rsa-padding": Code(
            "the client pads InitConnect with RSA OAEP, which OpenD does not read", "pad with PKCS#1 v1.5"
        ),
        "conflicting-overlap": Code(
            "copies of the same bytes differ", "look for what alters or injects packets on the way"
        ),
        "gap": Code("bytes are missing from the capture, or could not be used", "record closer to the client"),
        "not-opend": Code(
            "a connection on a gateway's port speaks something else (HTTP, TLS, WebSocket)",
            "compare the port with OpenD's settings",
        ),
        "wrong-header": Code(
            "the first header is almost one of OpenD's: wrong byte order, padding, version or reserved bytes",
            "correct the header that the client writes",
        ),
    },
    "Does a connection come about?": {
        "refused": Code(
            "the gateway's host refused the connection: nothing listens there",
            "start OpenD, compare api_ip and api_port",
        ),
        "unreachable": Code(
            "nobody answered the client's SYN", "compare the address; look for a firewall between client and OpenD"
        ),
        "closed-before-login": Code(
            "the connection was accepted and closed before a message",
            "look into OpenD's log; see connections-near-limit",
        ),
        "login-unanswered": Code(
            "InitConnect got no answer",
            "set the same encryption (rsa_private_key) in OpenD and client; look whether OpenD hangs",
        ),
        "no-login": Code(
            "the first message of a connection is not InitConnect", "send InitConnect first and wait for its answer"
        ),
        "connections-near-limit": Code(
            "a gateway has nearly as many connections as it takes (128)", "close contexts that are not used any more"
        ),
        "short-connections": Code(
            "a program opens a connection for every query", "keep one context open and use it for all"
        ),
    },
    "Who else can read it?": {
        "sample-key": Code(
            "the SDK's public sample key protects the traffic",
            "make a key of your own: openssl genrsa -traditional 1024",
        ),
        "secret-in-clear": Code("a password, key or code goes over the wire in clear", "switch encryption on"),
        "trade-in-clear": Code("trade messages go over the wire in clear", "switch encryption on"),
        "key-in-clear": Code(
            "the key of an encrypted connection was handed out in clear", "set rsa_private_key in OpenD and client"
        ),
        "clear-on-encrypted": Code(
            "messages in clear on an encrypted connection", "report it to the author of the SDK"
        ),
        "encryption-off": Code(
            "the client encrypts the handshake although its encryption is off",
            "switch its encryption on or take its key file away",
        ),
        "weak-key": Code(
            "the session key is 16 hex digits: 64 bits of chance, not 128",
            "do not rely on it over a network that others use: tunnel the connection (SSH, VPN)",
        ),
    },
    "Requests and responses": {
        "request-failed": Code("a request was refused, or a push reports a failure", "read the gateway's text"),
        "rate-limited": Code(
            "a request was refused: too many in too short a time", "spread the calls, or subscribe instead of asking"
        ),
        "rate-limit-near": Code(
            "80 % or more of a published limit was used in 30 s", "spread the calls before they are refused"
        ),
        "orders-too-close": Code(
            "two orders or changes of one account came closer than the gateway wants them (20 and 40 ms)",
            "wait between orders",
        ),
        "quota-used-up": Code(
            "a request was refused: a quota is used up", "unsubscribe on every connection, or wait for the renewal"
        ),
        "quota-held-by-other-connection": Code(
            "a subscription was refused for its quota, while other connections hold slots",
            "unsubscribe there: a slot is free when all connections dropped it",
        ),
        "gateway-timeout": Code("the gateway itself got no answer in time", "ask again; look at the network of OpenD"),
        "opend-link-lost": Code(
            "an answer says that OpenD's own link to the servers failed (NN_ProtoRet_…), or ticks were filled in "
            "after it",
            "wait until the link is back, look at OpenD's network",
        ),
        "batch-refused": Code(
            "one code that is unknown or without quote right fails a whole list", "leave the suspects out and ask again"
        ),
        "read-before-subscribed": Code(
            "real-time data was asked for before its subscription", "wait for the answer to Qot_Sub, then read"
        ),
        "unsubscribed-too-early": Code(
            "an unsubscription was refused: less than a minute after the subscription", "wait 60 s before unsubscribing"
        ),
        "account-mismatch": Code(
            "a request names an account, market, environment or firm that does not fit Trd_GetAccList",
            "take accID, trdEnv, market and securityFirm from one entry of Trd_GetAccList",
        ),
        "simulated-cannot": Code(
            "a simulated account was asked for what it does not have (fills, cash flow, cancel-all)",
            "use the list of orders instead",
        ),
        "version-mismatch": Code(
            "the gateway does not know a protocol id that exists", "update OpenD: the client is newer than it"
        ),
        "unanswered": Code("a request got no response", "look what happened on the connection at that time"),
        "late-response": Code(
            "a response came after the official SDK had stopped waiting (12 s)",
            "look up the result instead of repeating",
        ),
        "response-without-request": Code("a response to nothing that was asked", "look for losses in the capture"),
        "duplicate-serial": Code(
            "two requests of one protocol have the same serial number", "use each serial number once per connection"
        ),
        "duplicate-response": Code("a request was answered twice", "report it; it may be a proxy"),
        "serial-not-growing": Code(
            "serial numbers of requests fall on a connection",
            "count serial numbers up, under a lock if threads share them",
        ),
    },
    "PacketID and orders": {
        "packet-id-repeated": Code(
            "a trade request carries a PacketID that was used before", "draw a new serialNo for each attempt"
        ),
        "packet-id-not-growing": Code(
            "a trade request carries a PacketID lower than one before it", "count serialNo up"
        ),
        "packet-id-foreign": Code(
            "a trade request carries the connID of another connection",
            "use the connID of this connection's InitConnect",
        ),
        "order-repeated": Code(
            "the same order was placed again within a short time", "look for the first before sending another"
        ),
        "order-failed": Code(
            "an order failed, or timed out (a note once its result is known)", "read the gateway's text"
        ),
        "trade-push-not-subscribed": Code(
            "an order was placed and nobody subscribed to the pushes of its account",
            "call Trd_SubAccPush after every (re)connect",
        ),
        "cancel-without-effect": Code(
            "a cancel was answered RET_OK, and the order went on or was filled",
            "take a cancel for done only when the order's status says so",
        ),
        "change-without-effect": Code(
            "a change was answered RET_OK, and the order stayed as it was", "compare the order's state after a change"
        ),
        "order-status-went-back": Code(
            "an order was open again after a final status, or had a smaller filled quantity",
            "do not book by one push; ask for the list of orders",
        ),
        "fill-repeated": Code("the same fill was sent again", "book fills by fillID, once"),
    },
    "The life of a connection": {
        "keep-alive-late": Code(
            "a KeepAlive came later than the gateway asked for", "keep the client's network thread free"
        ),
        "keep-alive-missed": Code(
            "no KeepAlive for so long that the gateway may close the connection", "see whether the client hangs"
        ),
        "gateway-event": Code("the gateway reported an event that stops or restricts its work", "see the text"),
        "gateway-status": Code("the gateway reported a state in which it takes no requests", "see the text"),
        "server-link-lost": Code(
            "the gateway lost its own connection to the quote or trade servers (Notify)",
            "wait; look at OpenD's network",
        ),
        "quote-right-lost": Code(
            "a quote right became lower, or quotes that were served before are refused for want of it: another "
            "terminal took it, or it ended",
            "run request_highest_quote_right in OpenD, or close the other terminal",
        ),
        "opend-restarted": Code(
            "the push counter of OpenD fell: it was started again", "subscribe and unlock again after a reconnect"
        ),
        "session-older-than-capture": Code(
            "a connection was opened long before the capture began", "record from before the client starts"
        ),
        "closed-by-gateway": Code("the gateway closed the connection", "see the text; look into OpenD's log"),
        "closed-by-client": Code("the client closed the connection", "see whether it was meant"),
    },
    "Subscriptions": {
        "push-not-subscribed": Code("a push that the connection never subscribed to", "look for a shared gateway"),
        "subscription-silent": Code(
            "a subscription that never got a push", "see whether the market is open and the right is there"
        ),
        "pushes-stopped": Code(
            "pushes had come, and stopped", "subscribe again after the link is back; see what ended them"
        ),
        "subscriptions-not-renewed": Code(
            "a program reconnected and did not subscribe again to what it had", "renew subscriptions in the reconnect"
        ),
    },
    "Schema drift": {
        "unknown-protocol": Code(
            "a protocol id that the schema does not know", "look for a newer version of this tool"
        ),
        "unknown-fields": Code("fields that the schema does not know", "look for a newer version of this tool"),
        "unknown-enum-value": Code(
            "enum values that the schema does not know", "look for a newer version of this tool"
        ),
        "bad-body": Code("a body that is not the message it should be", "report it to the author of the sender"),
    },
    "The analysis itself": {
        "analysis-limit": Code("a limit of the analysis was hit", "cut the capture by time or connection"),
    },
}
"""All codes by subject."""

CODES: dict[str, Code] = {code: entry for codes in SUBJECTS.values() for code, entry in codes.items()}
"""Every code."""

MEANINGS: dict[str, str] = {code: entry.meaning for code, entry in CODES.items()}
"""Every code, and what it says in general."""
