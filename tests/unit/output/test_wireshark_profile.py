"""Files of a Wireshark profile, as Wireshark reads them."""

from __future__ import annotations

import re

import pytest

from decoder.output.wireshark_profile import MARK, profile_files, search_path


def test_every_file_says_who_wrote_it() -> None:
    files = profile_files("/schema")
    assert set(files) == {"preferences", "colorfilters", "protobuf_search_paths"}
    assert all(text.startswith(f"# {MARK}\n") for text in files.values())


@pytest.mark.parametrize(
    ("folder", "written"),
    [("/home/x/schema", '"/home/x/schema"'), ('C:\\a "b"', '"C:\\x5ca \\x22b\\x22"')],
)
def test_a_path_is_quoted_as_wireshark_quotes_it(folder: str, written: str) -> None:
    assert search_path(folder).splitlines()[1] == f'{written},"TRUE"'


def test_colours_are_lines_of_name_filter_and_two_colours() -> None:
    _, *lines = profile_files("/schema")["colorfilters"].splitlines()
    assert lines
    for line in lines:
        assert re.fullmatch(r"@[^@]+@[^@]+@(\[\d{1,5},\d{1,5},\d{1,5}\]){2}", line), line


def test_columns_come_in_pairs_of_title_and_format() -> None:
    preferences = profile_files("/schema")["preferences"]
    quoted = re.findall(r'"([^"]*)", "(%[^"]+)"', preferences)
    assert ("Info", "%i") in quoted
    assert len(quoted) == 8
