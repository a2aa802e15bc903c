"""The compiled core: what Python takes longest for, again in C.  Use `decoder.core`, which knows if it is there.

A walker reads the usual packets and emits their messages, as `decoder.engine.hot_path` does.

A renderer takes the records that it can prove to be ordinary (core_types.h says what that is) and hands every other to
`line`.  It knows no protocol: `decoder.output.core_tables` makes its tables out of the schema.
"""

from collections.abc import Callable, Iterable
from typing import Any

from decoder.message_fields import PlainFields

FieldRow = tuple[
    int,  # number
    str,  # kind: bool, int32, int64, uint32, uint64, float, double, string, bytes, message
    bool,  # repeated
    bool,  # required
    bytes,  # key, goes before the value
    bytes | None,  # goes instead of the value
    dict[int, bytes] | None,  # the text of each number; one without a text is not ordinary
    Any,  # or a mapping, asked for each number: its text, None where it is not ordinary
    int | None,  # index of the type of a message
]
BodyRow = tuple[
    int,  # index of its type
    bytes,  # says which protocol it is
    int,  # number of the field retType, 0 if it has none
    int,  # index of the type that has the field packetID
    int,  # number of that field, 0 if it has none
    dict[int, bytes],  # the text of each retType
    int,  # of text: number of the field whose message is shown, 0 for the whole body
    int,  # of text: index of the program that writes it, -1 if it has none
]
OpRow = tuple[
    bool,  # begins a group: what is shown together or not at all
    str,  # what it puts: enum op_code in core_text.h
    str,  # under which condition: enum op_test in core_text.h
    int,  # number of its field, 0 if it has none
    int,  # number of its other field
    int,  # limit of the condition "above"
    bytes,  # its text
    bytes,  # its other text
    dict[int, bytes] | None,  # its names
    Any,  # its mapping
    int | None,  # index of its program
    bool,  # says how many more items there are
]
StepRow = tuple[
    str,  # what it does: enum step_code in core_readers.h
    int,  # number of its field, 0 if it has none
    int,  # number of its other field
    int,  # its column in the sheet of the rows, -1 if it has none
    int,  # its other column
    int,  # of "stamp": the column of the date, -1 if the text has it
    int,  # of "stamp": the column of market and security
    bool,  # of "stamp": whether that stands in the sheet of what is around the rows
    int,  # of "item": is added
    dict[int, bytes] | None,  # the name of each number; one without a name is not ordinary
    int | None,  # index of the reader of a message
]
PlaceRow = tuple[
    int,  # number of the field that holds the rows, in c2s or s2c
    int,  # index of the reader of what is around them
    int,  # index of the sheet of that
    int,  # index of the reader of a row
    int,  # index of the sheet of the rows
]
SourceRow = tuple[
    int,  # index of the type of its bodies
    int,  # number of the field c2s or s2c
    int,  # numbers of retType, errCode and retMsg, 0 for one that they lack
    int,
    int,
    dict[int, str],  # the name of each retType
    tuple[PlaceRow, ...],
]
TakenColumn = tuple[
    bytes | None,  # a bit for each cell, 0 where it is null; None if none is
    bytes,  # the cells
    bytes | None,  # of texts: all of them
    list[bytes] | None,  # names that the cells refer to
]
FlowRow = tuple[Any, ...]
"""Longest body in bytes, mapping of protocol ids to indexes of bodies (-1: none), then the texts of a line in bytes."""

class JsonLines:
    """Writes records as JSON Lines.

    :param message_class: the class of records that are looked at
    :param flows: maps a flow to its `FlowRow`; texts: connection, ends, what stands after the notes
    :param second: returns the text of a time in seconds since 1970
    :param line: returns the line of a record that is not ordinary
    """

    def __init__(
        self,
        message_class: type,
        flows: dict[Any, FlowRow],
        second: Callable[[int], bytes],
        line: Callable[[Any], bytes],
    ) -> None: ...
    def add_type(self, fields: tuple[FieldRow, ...], /) -> int:
        """Adds a message type, its fields in the order of their numbers; returns its index."""

    def add_body(self, body: BodyRow, /) -> int:
        """Adds the bodies of one protocol in one direction; returns their index."""

    def render(self, records: Iterable[Any], /) -> bytes:
        """Returns the lines of records."""

class TextLines:
    """Writes records as lines of text.

    :param quote: maps a text, as bytes, to how it is shown
    :param message_class: and the others as for `JsonLines`; texts of a flow: zone, connection and arrow; unit of µs
    """

    def __init__(
        self,
        quote: dict[bytes, bytes],
        message_class: type,
        flows: dict[Any, FlowRow],
        second: Callable[[int], bytes],
        line: Callable[[Any], bytes],
        /,
    ) -> None: ...
    def add_type(self, fields: tuple[FieldRow, ...], /) -> int:
        """As `JsonLines.add_type`."""

    def add_program(self, index: int, ops: tuple[OpRow, ...], /) -> int:
        """Adds a program that writes messages of the type with that index; returns its own index."""

    def add_body(self, body: BodyRow, /) -> int:
        """As `JsonLines.add_body`."""

    def render(self, records: Iterable[Any], /) -> bytes:
        """Returns the lines of records, in UTF-8."""

class Columns:
    """Reads bodies into the columns of tables, as Arrow has them in memory.

    :param make_minute: maps a minute (``2026-07-05 04:42``) and a market (``HK.``) to nanoseconds since 1970, or None
    """

    def __init__(self, make_minute: Any) -> None: ...
    def add_type(self, fields: tuple[FieldRow, ...], /) -> int:
        """As `JsonLines.add_type`; of a field the texts are not used."""

    def add_sheet(self, stores: str, /) -> int:
        """Adds a sheet, a letter a column: ``?`` bits, ``4`` and ``8`` bytes, ``s`` texts, ``e`` names."""

    def add_reader(self, type: int, sheet: int, around: int, steps: tuple[StepRow, ...], /) -> int:
        """Adds a reader of messages of a type into rows of a sheet; `around` is that of what is around them, or -1."""

    def add_source(self, source: SourceRow, /) -> int:
        """Adds the bodies of one protocol in one direction; returns their index."""

    def read(
        self, source: int, body: bytes, keep: bool, /
    ) -> int | tuple[bool, str | None, int | None, str | None] | None:
        """Reads a body; its rows are added to their sheets if `keep` is set.

        Returns None for a body that is not ordinary, of which nothing is added; a number for one that reports success
        and has c2s or s2c: 1 if errCode is there, plus 2 if retMsg is, 0 and empty; for others if it has c2s or s2c,
        the name of retType, errCode and retMsg.
        """

    def rows(self, sheet: int, /) -> int:
        """Returns the number of rows in a sheet."""

    def take(self, sheet: int, /) -> list[TakenColumn]:
        """Returns the columns of a sheet, which is empty then."""

class MessageFields(PlainFields):
    """Keeps the attributes of a message in C; beside these an instance of a subclass has what that adds."""

class Walker:
    """Reads packets and emits their messages; leaves what is not usual to Python.

    :param table: the `ConnectionTable`
    :param message_class: the subclass of `MessageFields` that messages are made of
    :param arrival: the class `Arrival`
    :param sha1: `hashlib.sha1`
    :param feed_rest: `hot_path.feed_rest`, which takes what is no whole message
    :param pass_over: `hot_path.pass_over`, which takes note of a message of several packets
    :param may_overtake: `hot_path.may_overtake`, which tells if segments may be taken that overtook another one
    :param recipe: `ciphers.recipe`, which tells how a decryption function works
    :param pushes: the protocol ids of pushes
    :param handshake: the protocol id that is left to the stages
    """

    def __init__(
        self,
        table: Any,
        message_class: type[PlainFields],
        arrival: type[Any],
        sha1: Callable[[bytes], Any],
        feed_rest: Callable[[Any, Any, Any, bytes, int, int, int], None],
        pass_over: Callable[[Any, Any, int, int], None],
        may_overtake: Callable[[Any, Any, int, int], bool],
        recipe: Callable[[Callable[[bytes], bytes | None]], tuple[str, Callable[[bytes], bytes], bytes] | None],
        pushes: Iterable[int],
        handshake: int,
    ) -> None: ...
    def walk(self, batch: list[tuple[int, int, bytes, int]], at: int, number: int, may_hold: int, /) -> int:
        """Takes packets of `batch` from place `at` on, before which `number` packets came; returns where it stopped.

        It holds beginnings of messages, in at most `may_hold` bytes.
        """

    def release(self) -> None:
        """Gives the beginnings of messages that are held to the stages."""

def pcap_records(
    buffer: bytes, start: int, header: int, big: bool, linktype: int, scale: int, /
) -> tuple[list[tuple[int, int, bytes, int]], int]:
    """Reads the records of a pcap file from place `start` on, as far as they are whole, and not empty.

    `header` is the length of a record's header, `big` its byte order, `scale` the nanoseconds of a tick.  Returns the
    packets, and where it stopped.
    """

def json_double(value: float, write: Callable[[float], bytes], /) -> bytes:
    """Returns a finite double as orjson writes it, which is `write`; for the tests."""

def json_float(value: float, write: Callable[[float], bytes], /) -> bytes:
    """Returns a finite 4-byte float as `decoder.body.scalars.plain_float` and orjson write it; for the tests."""
