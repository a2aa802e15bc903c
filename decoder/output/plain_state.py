"""Turns objects of the decoder into plain data and back, so that another process can go on where one stopped.

Plain data are numbers, texts, bytes and lists of them.  Each object becomes a list: what it is, the place of its class
in a table, and its attributes; an object that is met twice is the same list both times.  Reading it runs nothing:
classes come from the modules of `_MODULES`, which do no I/O, their objects are made without calling a constructor, and
of methods only those of `_METHODS` can be attributes.  A class or method that is not listed here is an error when the
data are made, so tests find it.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from importlib import import_module
from itertools import chain, islice
from types import MethodType
from typing import Any
from weakref import ReferenceType, ref

from decoder.message_fields import ATTRIBUTES, MessageFields

__all__ = ["Classes", "from_plain", "to_plain"]

Classes = list[tuple[str, str, tuple[str, ...]]]
"""Module and name of each class, and the names of the attributes that an object of it has."""

_MODULES = re.compile(
    r"decoder\.(bounded|message|message_fields|vocabulary|body\.body|crypto\.(ciphers|verifier|rsa_trials)|output\.tables"
    r"|(conversation|engine|findings|framing|packet|statistics|tcp)\.[a-z_]+)"
)
"""Modules of the classes of which objects are carried over."""
_METHODS = frozenset(
    (
        *("SessionKey.aes_cbc", "SessionKey.aes_ecb", "SessionKey.ftaes_ecb"),
        *("Analyser._conclude", "_Packets.of", "Statistics._is_wanted"),
        *("Tables._unanswered", "Tables.connection_ended"),
    )
)
"""Methods that are attributes of other objects."""
_LEFT_OUT = {
    "SessionKey": ("_cbc", "_ecb"),  # ciphers, made from the key when they are needed
    "RsaTrials": ("_last",),  # names an RSA key
    "Message": ("_body",),  # parsed from the plaintext when it is needed
}
"""Attributes that are None afterwards: what they held is only a shorter way to it."""
_MADE_ANEW = frozenset(("SchemaDrift",))
"""Classes whose objects only remember what they worked out: a new one takes their place."""
_FACTORIES = {factory.__name__: factory for factory in (bool, int, float, str, list, dict, set, deque, Counter)}
"""Functions that make the missing values of a defaultdict."""

_PLAIN = frozenset((bool, int, float, str, bytes, bytearray, type(None)))
_SEQUENCES = (list, tuple, set, frozenset)
_MAPPINGS = (dict, OrderedDict, Counter)


def to_plain(item: object, known: Mapping[str, object]) -> tuple[Any, Classes]:
    """Returns an object as plain data, with the table of classes.

    :param known: what is not carried over: `from_plain` is given what takes its place
    :raises TypeError: if an object is found that cannot be carried over
    """
    writer = _Writer(known)
    data = writer.plain(item)
    return data, list(writer.classes)


def from_plain(data: object, classes: Iterable[Any], known: Mapping[str, object]) -> Any:
    """Returns the object that `to_plain` was given.

    :param known: what takes the place of the objects that were not carried over
    :raises ValueError: if the data are not what `to_plain` returns
    """
    try:
        reader = _Reader([_class_of(*each) for each in classes], known)
        return reader.item(data)
    except (LookupError, TypeError, AttributeError, ImportError, RecursionError, StopIteration) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from None


class _Writer:
    """Makes plain data."""

    def __init__(self, known: Mapping[str, object]) -> None:
        self.classes: dict[tuple[str, str, tuple[str, ...]], int] = {}
        self._known = {id(item): name for name, item in known.items() if item is not None}
        # The objects stay alive with their nodes, so that no other gets their id.
        self._nodes: dict[int, tuple[object, list[Any]]] = {}

    def plain(self, item: Any) -> Any:
        kind = type(item)
        if kind in _PLAIN or (kind is tuple and _PLAIN.issuperset(map(type, item))):
            return item
        done = self._nodes.get(id(item))
        if done is not None:
            return done[1]
        name = self._known.get(id(item))
        if name is not None:
            return ["known", name]
        node: list[Any] = []
        self._nodes[id(item)] = item, node
        node += self._content(item, kind)
        return node

    def _content(self, item: Any, kind: type) -> Iterator[Any]:
        plain = self.plain
        if kind in _SEQUENCES:
            return chain((kind.__name__,), map(plain, item))
        if kind in _MAPPINGS:
            return chain((kind.__name__,), self._pairs(item))
        if kind is deque:
            return chain(("deque", item.maxlen), map(plain, item))
        if kind is defaultdict:
            return chain(("defaultdict", _factory_name(item.default_factory)), self._pairs(item))
        if kind is MethodType:
            return iter(("method", plain(item.__self__), _method_name(item)))
        if kind is ReferenceType:
            return iter(("reference", plain(item())))
        return self._object(item, kind)

    def _pairs(self, items: Mapping[Any, Any]) -> Iterator[Any]:
        return map(self.plain, chain.from_iterable(items.items()))

    def _object(self, item: Any, kind: type) -> Iterator[Any]:
        plain = self.plain
        if issubclass(kind, Enum):
            return iter(("enum", self._place(kind), item.name))
        if issubclass(kind, tuple):
            return chain(("namedtuple", self._place(kind)), map(plain, item))
        if kind.__name__ in _MADE_ANEW:
            return iter(("anew", self._place(kind)))
        if hasattr(kind, "__setstate__"):
            return iter(("state", self._place(kind), plain(item.__getstate__())))
        left_out = _LEFT_OUT.get(kind.__name__, ())
        names = tuple(_attributes(item, kind))
        values = [None if name in left_out else plain(getattr(item, name)) for name in names]
        items: Iterator[Any] = iter(())
        if isinstance(item, dict):
            items = self._pairs(item)
        elif isinstance(item, list):
            items = map(plain, item)
        return chain(("object", self._place(kind, names)), values, items)

    def _place(self, kind: type, names: tuple[str, ...] = ()) -> int:
        if not _MODULES.fullmatch(kind.__module__):
            raise TypeError(f"a {kind.__module__}.{kind.__qualname__} cannot be carried over")
        return self.classes.setdefault((kind.__module__, kind.__qualname__, names), len(self.classes))


def _attributes(item: object, kind: type) -> Iterator[str]:
    """Yields the names of the attributes that an object has."""
    if issubclass(kind, MessageFields):  # in C they are no slots, and in Python a class has the usual values
        yield from ATTRIBUTES
        return
    for base in kind.__mro__:
        if base.__module__ != "collections":  # (OrderedDict has no slots of its own)
            for name in base.__dict__.get("__slots__", ()):
                if name not in ("__weakref__", "__dict__") and hasattr(item, name):
                    yield name
    yield from getattr(item, "__dict__", ())


def _factory_name(factory: Callable[[], Any] | None) -> str | None:
    if factory is None:
        return None
    name = factory.__name__
    if _FACTORIES.get(name) is not factory:
        raise TypeError(f"a defaultdict of {name} cannot be carried over")
    return name


def _method_name(method: MethodType) -> str:
    name = f"{type(method.__self__).__name__}.{method.__name__}"
    if name not in _METHODS:
        raise TypeError(f"the method {name} cannot be carried over")
    return method.__name__


def _class_of(module: str, name: str, names: tuple[str, ...]) -> tuple[type, tuple[str, ...]]:
    if not _MODULES.fullmatch(module):
        raise ValueError(f"no class of {module} is carried over")
    found = vars(import_module(module))[name]
    if not isinstance(found, type) or found.__module__ != module:
        raise ValueError(f"{module} has no class {name}")
    return found, names


class _Reader:
    """Makes objects of plain data."""

    def __init__(self, classes: list[tuple[type, tuple[str, ...]]], known: Mapping[str, object]) -> None:
        self._classes = classes
        self._known = known
        self._made: dict[int, Any] = {}
        self._begun: set[int] = set()

    def item(self, data: Any) -> Any:
        if type(data) is not list:
            return data
        place = id(data)
        if place in self._made:
            return self._made[place]
        if place in self._begun:
            raise ValueError("something that cannot be changed contains itself")
        self._begun.add(place)
        kind, *content = data
        made = self._made[place] = _MAKERS[kind](self, place, content)
        return made

    def _items(self, content: Iterable[Any]) -> Iterator[Any]:
        return map(self.item, content)

    def _fill(self, place: int, made: Any, content: Iterable[Any]) -> Any:
        """Fills a container, which may contain itself."""
        self._made[place] = made
        if isinstance(made, dict):
            values = iter(content)
            for key in values:
                # (Passes over what a dictionary of ours does when something is added: it is within its bounds.)
                (OrderedDict if isinstance(made, OrderedDict) else dict).__setitem__(
                    made, self.item(key), self.item(next(values))
                )
        elif isinstance(made, set):
            made.update(self._items(content))
        else:
            made.extend(self._items(content))
        return made

    def _default(self, place: int, content: list[Any]) -> Any:
        name, *rest = content
        return self._fill(place, defaultdict(None if name is None else _FACTORIES[name]), rest)

    def _method(self, place: int, content: list[Any]) -> Any:
        owner, name = self.item(content[0]), content[1]
        if f"{type(owner).__name__}.{name}" not in _METHODS:
            raise ValueError(f"the method {name} is not carried over")
        return getattr(owner, name)

    def _reference(self, place: int, content: list[Any]) -> Any:
        target = self.item(content[0])
        return ref(_Gone() if target is None else target)

    def _enum(self, place: int, content: list[Any]) -> Any:
        kind, _ = self._classes[content[0]]
        if not issubclass(kind, Enum):
            raise ValueError(f"{kind.__name__} is no Enum")
        return kind[content[1]]

    def _named(self, place: int, content: list[Any]) -> Any:
        kind, _ = self._classes[content[0]]
        if not issubclass(kind, tuple) or len(kind._fields) != len(content) - 1:
            raise ValueError(f"{kind.__name__} has other fields")
        return tuple.__new__(kind, self._items(content[1:]))

    def _anew(self, place: int, content: list[Any]) -> Any:
        kind, _ = self._classes[content[0]]
        if kind.__name__ not in _MADE_ANEW:
            raise ValueError(f"no new {kind.__name__} is made")
        return kind()

    def _state(self, place: int, content: list[Any]) -> Any:
        kind, _ = self._classes[content[0]]
        made = self._made[place] = kind.__new__(kind)
        made.__setstate__(self.item(content[1]))
        return made

    def _object(self, place: int, content: list[Any]) -> Any:
        kind, names = self._classes[content[0]]
        made = self._made[place] = kind.__new__(kind)
        values = iter(content[1:])
        for name, value in zip(names, islice(values, len(names)), strict=True):
            object.__setattr__(made, name, self.item(value))
        rest = list(values)
        return self._fill(place, made, rest) if rest else made


class _Gone:
    """Is what a weak reference points to whose object is gone."""


_MAKERS: dict[str, Callable[[_Reader, int, list[Any]], Any]] = {
    "list": lambda reader, place, content: reader._fill(place, [], content),
    "tuple": lambda reader, place, content: tuple(reader._items(content)),
    "set": lambda reader, place, content: reader._fill(place, set(), content),
    "frozenset": lambda reader, place, content: frozenset(reader._items(content)),
    "deque": lambda reader, place, content: reader._fill(place, deque(maxlen=content[0]), content[1:]),
    "dict": lambda reader, place, content: reader._fill(place, {}, content),
    "OrderedDict": lambda reader, place, content: reader._fill(place, OrderedDict(), content),
    "Counter": lambda reader, place, content: reader._fill(place, Counter(), content),
    "defaultdict": _Reader._default,
    "object": _Reader._object,
    "namedtuple": _Reader._named,
    "enum": _Reader._enum,
    "method": _Reader._method,
    "reference": _Reader._reference,
    "anew": _Reader._anew,
    "state": _Reader._state,
    "known": lambda reader, place, content: reader._known[content[0]],
}
