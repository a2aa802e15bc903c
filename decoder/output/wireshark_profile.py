"""Generates a configuration profile for Wireshark: columns, colours, preferences, where the schema is."""

from __future__ import annotations

__all__ = ["MARK", "PROFILE", "profile_files", "search_path"]

PROFILE = "OpenD"
"""Name of the profile: ``wireshark -C OpenD``."""
MARK = "Written by opendump"
"""Stands at the beginning of every file that we write for Wireshark; a file without it is not ours."""

_COLUMNS = (
    ("No.", "%m"),
    ("Time", "%t"),
    ("Source", "%s"),
    ("Destination", "%d"),
    ("Protocol", "%p"),
    ("Serial", "%Cus:opend.serial_no:0:R"),
    ("Latency", "%Cus:opend.time:0:R"),
    ("Info", "%i"),
)
# Filters of the dissector's own fields only: they exist before the first packet is read.  Colours are 16-bit RGB,
# background and text; the first filter that matches counts.
_COLOURS = (
    ("OpenD not in clear", "opend.unreadable", "[54998,54998,54998][26214,26214,26214]"),
    ("OpenD trade", 'opend.proto matches "^Trd_"', "[65535,62194,52428][0,0,0]"),
    ("OpenD notice of the gateway", 'opend.proto == "Notify"', "[65535,56797,56797][0,0,0]"),
    ("OpenD quote push", "opend.kind == 2", "[59881,62965,65535][0,0,0]"),
    ("OpenD", "opend", "[61166,65535,61166][0,0,0]"),
    ("Bad TCP", "tcp.analysis.flags && !tcp.analysis.window_update", "[4718,10030,11796][63479,34695,34695]"),
    ("TCP connection begins or ends", "tcp.flags & 0x07", "[41120,41120,41120][4718,10030,11796]"),
)


def profile_files(folder: str) -> dict[str, str]:
    """Returns the files of the profile by name.

    :param folder: absolute path of the folder with the schema
    """
    columns = ",\n\t".join(f'"{title}", "{format}"' for title, format in _COLUMNS)
    preferences = (
        f"# {MARK}\n"
        f"gui.column.format: \n\t{columns}\n"
        "# Messages come out in order though packets overtook each other.\n"
        "tcp.reassemble_out_of_order: TRUE\n"
        '# Filters by field: pbf.Trd_Common.Order.orderStatus == "OrderStatus_Filled_All"\n'
        "protobuf.pbf_as_hf: TRUE\n"
        "protobuf.preload_protos: TRUE\n"
    )
    colours = "".join(f"@{name}@{expression}@{colour}\n" for name, expression, colour in _COLOURS)
    return {
        "preferences": preferences,
        "colorfilters": f"# {MARK}\n{colours}",
        "protobuf_search_paths": search_path(folder),
    }


def search_path(folder: str) -> str:
    """Returns the file that tells Wireshark to load the schema from `folder`."""
    # As Wireshark writes such a table: quotes and backslashes in a path as hex.
    quoted = "".join(f"\\x{ord(char):02x}" if char in '"\\' else char for char in folder)
    return f'# {MARK}\n"{quoted}","TRUE"\n'
