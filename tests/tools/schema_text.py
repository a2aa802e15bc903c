"""Write a schema as .proto text, in the one form that the files under decoder/schema/proto have."""

from __future__ import annotations

from tests.tools.schema_model import Enum, Field, File, Message, Value, walk_messages

HEAD = """\
edition = "2023";

{comment}package {package};

{imports}

option features.enum_type = OPEN;
option features.utf8_validation = NONE;
option features.repeated_field_encoding = EXPANDED;
"""
LINE = 120


# Qot_Common needs enums of Trd_Common, which needs messages of Qot_Common: files must not form a ring.
ENUMS_APART = frozenset({"Trd_Common"})


def render(file: File) -> dict[str, str]:
    """The .proto texts of one package by file name: one, or two where its enums stand apart."""
    enums = [_enum(enum) for enum in file.enums]
    messages = ["\n".join(_message(message, file.package, 0)) + "\n" for message in file.messages]
    name, imports = f"{file.package}.proto", _imports(file)
    if file.package not in ENUMS_APART:
        return {name: _text(file, imports - {name}, [*enums, *messages])}
    apart = _file_name(file.package, is_enum=True)
    return {apart: _text(file, set(), enums), name: _text(file, imports - {name}, messages)}


def _text(file: File, imports: set[str], parts: list[str]) -> str:
    lines = [f'import "{name}";' for name in sorted(imports)] + ['import "opend.proto";']
    comment = "".join(line + "\n" for line in _comment(file.comment, 0))
    return "\n".join([HEAD.format(comment=comment, package=file.package, imports="\n".join(lines)), *parts])


def _file_name(package: str, *, is_enum: bool) -> str:
    return f"{package}_Enum.proto" if is_enum and package in ENUMS_APART else f"{package}.proto"


def _imports(file: File) -> set[str]:
    return {
        _file_name(item.type.split(".")[0], is_enum=item.is_enum)
        for _, message in walk_messages(file)
        for item in message.fields
        if "." in item.type
    }


def _comment(text: str, depth: int) -> list[str]:
    return [f"{'  ' * depth}// {line.strip()}".rstrip() for line in text.splitlines()]


def _options(options: dict[str, str]) -> str:
    return f" [{', '.join(f'{key} = {value}' for key, value in options.items())}]" if options else ""


def _ours(options: dict[str, str]) -> dict[str, str]:
    return {key if key == "debug_redact" else f"(opend.{key})": value for key, value in options.items()}


def _line(depth: int, code: str, comment: str) -> list[str]:
    code = "  " * depth + code
    if not comment:
        return [code]
    if "\n" not in comment and len(code) + len(comment) + 5 <= LINE:
        return [f"{code}  // {comment}"]
    return [*_comment(comment, depth), code]


def _enum(enum: Enum) -> str:
    lines = [*_comment(enum.comment, 0), f"enum {enum.name} {{"]
    if len({value.number for value in enum.values}) != len(enum.values):
        lines.append("  option allow_alias = true;")
    lines += [f"  option {key} = {value};" for key, value in _ours(enum.options).items()]
    for value in _zero_first(enum.values):
        lines += _line(1, f"{value.name} = {value.number}{_options(_ours(value.options))};", value.comment)
    return "\n".join([*lines, "}"]) + "\n"


def _zero_first(values: list[Value]) -> list[Value]:
    return sorted(values, key=lambda value: value.number != 0)


def _message(message: Message, scope: str, depth: int) -> list[str]:
    pad = "  " * depth
    scope = f"{scope}.{message.name}"
    lines = [*_comment(message.comment, depth), f"{pad}message {message.name} {{"]
    lines += [f"{pad}  option {key} = {value};" for key, value in _ours(message.options).items()]
    for inner in message.messages:
        lines += _message(inner, scope, depth + 1)
    for item in message.fields:
        lines += _line(depth + 1, _field(item, scope), item.comment)
    return [*lines, pad + "}"]


def _field(item: Field, scope: str) -> str:
    options: dict[str, str] = {}
    if item.label == "required":
        options["features.field_presence"] = "LEGACY_REQUIRED"
    if item.default:
        options["default"] = item.default
    if item.deprecated:
        options["deprecated"] = "true"
    options |= _ours(item.options)
    label = "repeated " if item.label == "repeated" else ""
    return f"{label}{_relative(item.type, scope)} {item.name} = {item.number}{_options(options)};"


def _relative(type_name: str, scope: str) -> str:
    """The shortest name that still says which type is meant: without the own package, else in full."""
    package = scope.split(".")[0] + "."
    return type_name.removeprefix(package)
