"""Tables as aligned columns of plain text."""

from __future__ import annotations

from decoder.formatting.table import Column, Table, columns, plain_text


def test_numbers_stand_right_and_texts_left_and_nothing_is_cut() -> None:
    table = Table(
        "Title",
        [Column("name"), Column("count", number=True), Column("text")],
        [("a", "1", "x" * 200), ("bcd", "22", "")],
    )
    assert plain_text([table]).splitlines() == [
        "Title",
        "  name  count  text",
        f"  a         1  {'x' * 200}",
        "  bcd      22",
    ]


def test_notes_follow_the_title_and_need_no_rows() -> None:
    assert plain_text([Table("Title", [Column("name")], notes=["one", "two"])]) == "Title\none\ntwo\n"


def test_columns_without_names_have_no_heading() -> None:
    assert plain_text([Table("", [Column(""), Column("")], [("key", "value")])], indent="") == "key  value\n"


def test_an_empty_line_stands_between_tables() -> None:
    tables = [Table("A", [Column("x")], [("1",)]), Table("B", [Column("x")], [("2",)])]
    assert plain_text(tables, indent="") == "A\nx\n1\n\nB\nx\n2\n"


def test_columns_by_a_row_of_headings() -> None:
    assert columns("symbol | pushes: | asked by:* |", fold={"symbol"}) == [
        Column("symbol", fold=True),
        Column("pushes", number=True),
        Column("asked by", number=True, wide=True),
        Column(""),
    ]


def test_columns_for_wide_terminals_are_left_out_of_lines_over_120_characters() -> None:
    heads = columns("name | first* | second* | last")
    table = Table("", heads, [("a", "b" * 50, "c" * 50, "d")])
    assert "second" in plain_text([table])
    table = Table("", heads, [("a", "b" * 60, "c" * 60, "d")])
    assert plain_text([table], indent="").splitlines()[0].split() == ["name", "first", "last"]
    table = Table("", columns("name | text"), [("a", "x" * 200)])
    assert "x" * 200 in plain_text([table])
