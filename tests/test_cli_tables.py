"""Reading tables: the values of good files, and what is said about bad ones."""

import csv
import random
import sys

import numpy as np
import pytest

from fastnn._cli_data import UsageError, open_table, require_values

CELLS = [["1", "-2.5e3", "x"], ["", " 7 ", "a,b"], ["nan", "1e-300", 'say "c"\nd']]


def table_of(path, *, delimiter=",", encoding="utf-8", header=True):
    return open_table(str(path), delimiter=delimiter, encoding=encoding, header=header)


def rows_of(table, features, target=None):
    """All features, targets and places of a table."""
    blocks = list(table.blocks(features, target))
    x = np.concatenate([b.x for b in blocks])
    return x, [c for b in blocks for c in b.target], [p for b in blocks for p in b.places.tolist()]


def written(tmp_path, text, name="t.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_csv_file_is_read_as_written(tmp_path, encoding, delimiter, end):
    path = tmp_path / "t.csv"
    with open(path, "w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator=end)
        writer.writerows([["größe", 'b "b"', "kind"], *CELLS])
    given = "utf-8" if encoding == "utf-8-sig" else encoding
    table = table_of(path, delimiter=delimiter, encoding=given)
    assert table.names == ["größe", 'b "b"', "kind"]
    x, target, places = rows_of(table, [1, 0], 2)
    np.testing.assert_array_equal(x, [[-2500, 1], [7, np.nan], [1e-300, np.nan]])
    assert target == ["x", "a,b", 'say "c"\nd']
    assert places == [2, 3, 4]


def test_lines_are_those_of_the_file(tmp_path):
    path = written(tmp_path, 'a,b\n\n1,"x\ny"\n\n2,z\n')
    assert rows_of(table_of(path), [0], 1)[1:] == (["x\ny", "z"], [3, 6])


def test_without_a_header_columns_are_numbered(tmp_path):
    table = table_of(written(tmp_path, "1,2,3\n4,5,6\n"), header=False)
    assert table.names == ["1", "2", "3"] and not table.named
    x, target, places = rows_of(table, [0, 2], 1)
    np.testing.assert_array_equal(x, [[1, 3], [4, 6]])
    assert target == ["2", "5"] and places == [1, 2]


def test_numbers_are_read_exactly(tmp_path):
    rng = random.Random(5)
    values = [
        [rng.uniform(-1, 1) * 10.0 ** rng.randint(-300, 300) for _ in range(7)] for _ in "rows"
    ]
    text = "\n".join(",".join(map(repr, row)) for row in [list("abcdefg"), *values])
    x, _, _ = rows_of(table_of(written(tmp_path, text.replace("'", ""))), range(7))
    assert x.tolist() == values


def test_blocks_have_all_rows_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr("fastnn._cli_data.BLOCK_CELLS", 6)
    path = written(tmp_path, "a,b\n" + "".join(f"{i},{-i}\n" for i in range(10)))
    blocks = list(table_of(path).blocks([0, 1], 0))
    assert [len(b.x) for b in blocks] == [3, 3, 3, 1]
    np.testing.assert_array_equal(np.concatenate([b.x for b in blocks])[:, 1], -np.arange(10.0))
    assert [c for b in blocks for c in b.target] == [str(i) for i in range(10)]
    assert [p for b in blocks for p in b.places] == list(range(2, 12))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "t.csv: empty; a header row is expected"),
        ("\n\n", "t.csv: empty"),
        ("a,b\n1,2\n1,2,3\n", "t.csv, line 3: 3 cells, but the header has 2"),
        ("a,b\n1,2\n\n1\n", "t.csv, line 4: 1 cells, but the header has 2"),
        ("a,b\n1,2\n1,two\n", "t.csv, line 3, column 'b': 'two' is not a number.*--ignore 'b'"),
        ("a,b\n1,1_000\n", "t.csv, line 2, column 'b': '1_000' is not a number"),
        ("a,b\n1,\n1,0x1f\n", "t.csv, line 3, column 'b': '0x1f' is not a number"),
        ('a,b\n1,2\n"1"x,2\n', "t.csv, line 3: .*expected after.*must be quoted"),
        ('a,b\n1,2\n"1,2\n', "t.csv, line 3: unexpected end of data"),
        (b"a,b\n1,2\n1,\xe9\n", "t.csv, line 3: not utf-8 .*--encoding latin-1"),
        (b"\xff\xfea\0,\0b\0\n\0", "t.csv, line 1: not utf-8 .*utf-16"),
        (f"a,b\n1,{'9' * 200000}\n", "t.csv, line 2: field larger than field limit"),
    ],
)
def test_a_bad_csv_file_is_named_with_line_and_column(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(UsageError, match=message) as caught:
        rows_of(table_of(path), [0, 1])
    assert str(caught.value).startswith(str(path))


def test_undecodable_bytes_are_found_far_inside_a_file(tmp_path):
    path = written(tmp_path, b"a\n" + b"1.5\n" * 100_000 + b"\xff\n")
    with pytest.raises(UsageError, match=r"line 100002: not utf-8"):
        rows_of(table_of(path), [0])


def test_the_wrong_encoding_is_refused(tmp_path):
    path = written(tmp_path, "a,b\n1,2\n")
    with pytest.raises(UsageError, match="--encoding klingon: unknown"):
        table_of(path, encoding="klingon")
    with pytest.raises(UsageError, match="not utf-16 .*--encoding utf-8"):
        table_of(path, encoding="utf-16")


def test_columns_are_found_or_named(tmp_path):
    table = table_of(written(tmp_path, "a,b,a\n1,2,3\n"))
    assert table.index("b") == 1
    with pytest.raises(UsageError, match="columns 1 and 3 have the same name 'a'; rename"):
        table.index("a")
    with pytest.raises(UsageError, match="there is no column 'c'; columns: 'a', 'b', 'a'"):
        table.index("c")
    with pytest.raises(UsageError, match="try --delimiter ';'"):
        table_of(written(tmp_path, "a;b\n1;2\n")).index("a")
    with pytest.raises(UsageError, match="give --no-header"):
        table_of(written(tmp_path, "1.5,2\n1,2\n")).index("a")
    with pytest.raises(UsageError, match="named by number, 1 to 2"):
        table_of(written(tmp_path, "1.5,2\n1,2\n"), header=False).index("a")


def test_values_that_no_model_takes_are_named(tmp_path):
    table = table_of(written(tmp_path, "a,b\n1,2\n3,\n1e999,4\n"))
    (block,) = table.blocks([1, 0], None)
    with pytest.raises(UsageError, match=r"line 3, column 'b': empty or NaN. Fill it"):
        require_values(table, block, [1, 0], missing=False, help_missing="Fill it")
    with pytest.raises(UsageError, match=r"line 4, column 'a': infinite"):
        require_values(table, block, [1, 0], missing=True, help_missing="Fill it")


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match=r"none\.csv: there is no such file"):
        table_of(tmp_path / "none.csv")
    with pytest.raises(UsageError, match="a folder, not a file"):
        table_of(tmp_path)


# Arrays


def saved(tmp_path, **arrays):
    path = tmp_path / "t.npz"
    np.savez(path, **arrays)
    return path


def test_npz_with_a_matrix(tmp_path):
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    table = table_of(saved(tmp_path, X=x, y=np.array(["u", "v", "u"]), w=np.ones(3)))
    assert table.names == ["1", "2", "y", "w"] and not table.named
    assert table.default_target == "y" and list(table.candidates) == [0, 1]
    got, target, places = rows_of(table, [0, 1], 2)
    np.testing.assert_array_equal(got, x)
    assert target == ["u", "v", "u"] and places == [1, 2, 3]
    named = table_of(saved(tmp_path, X=x, y=np.ones((3, 1)), feature_names=np.array(["p", "q"])))
    assert named.names == ["p", "q", "y"] and named.named


def test_npz_with_columns(tmp_path):
    table = table_of(saved(tmp_path, b=np.array([True, False]), a=np.array([3, 4], np.uint8)))
    assert table.names == ["b", "a"] and table.named and table.default_target is None
    x, target, _ = rows_of(table, [1, 0], 0)
    np.testing.assert_array_equal(x, [[3, 1], [4, 0]])
    assert target == [True, False]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "no columns"),
        ({"X": np.ones((3, 2)), "y": np.ones(2)}, "y has 2 rows, but X has 3"),
        ({"X": np.ones((3, 2)), "y": np.ones((3, 2))}, r"y is \(3, 2\), but one value a row"),
        ({"X": np.ones((3, 2)), "feature_names": np.array(["a"])}, "needs 2 names as text"),
        ({"a": np.ones(3), "b": np.ones(2)}, "b has 2 rows, but a has 3"),
        ({"a": np.ones((2, 2, 2))}, r"a is float64 \(2, 2, 2\); arrays X"),
        ({"a": np.array([{}], object)}, "cannot be read as an .npz file"),
    ],
)
def test_bad_npz_files(tmp_path, arrays, message):
    with pytest.raises(UsageError, match=message):
        table_of(saved(tmp_path, **arrays))


def test_npz_files_that_are_none(tmp_path):
    for text in (b"", b"no zip", b"PK\x03\x04 broken"):
        with pytest.raises(UsageError, match="cannot be read as an .npz file"):
            table_of(written(tmp_path, text, "t.npz"))


def test_text_among_the_features_of_npz(tmp_path):
    table = table_of(saved(tmp_path, a=np.array(["1", "2"]), b=np.ones(2)))
    with pytest.raises(UsageError, match="row 1, column 'a': '1' is not a number"):
        rows_of(table, [1, 0])


# Parquet


def parquet(tmp_path):
    polars = pytest.importorskip("polars")
    path = tmp_path / "t.parquet"
    columns = {
        "a": [1.5, None, 3.0, 4.0],
        "n": [1, 2, None, 4],
        "ok": [True, False, None, True],
        "kind": ["u", None, "w", "u"],
    }
    frame = polars.DataFrame(columns).with_columns(polars.col("kind").cast(polars.Categorical))
    frame.write_parquet(path)
    return path


@pytest.mark.parametrize("reader", ["pyarrow", "polars", "pandas"])
def test_parquet(tmp_path, monkeypatch, reader):
    path = parquet(tmp_path)
    if reader == "pandas":  # pandas reads by pyarrow, too, or by fastparquet
        pytest.importorskip("fastparquet")
    pytest.importorskip(reader)
    for other in {"pyarrow", "polars", "pandas"} - {reader}:
        monkeypatch.setitem(sys.modules, other, None)
    if reader != "pyarrow":
        monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    monkeypatch.setattr("fastnn._cli_data.BLOCK_CELLS", 9)
    table = table_of(path)
    assert table.names == ["a", "n", "ok", "kind"]
    x, target, places = rows_of(table, [2, 1, 0], 3)
    nan = np.nan
    np.testing.assert_array_equal(x, [[1, 1, 1.5], [0, 2, nan], [nan, nan, 3], [1, 4, 4]])
    assert target == ["u", None, "w", "u"] and places == [1, 2, 3, 4]
    with pytest.raises(UsageError, match="row 1, column 'kind': 'u' is not a number"):
        rows_of(table, [3])


def test_parquet_without_a_reader_names_the_package(tmp_path, monkeypatch):
    path = written(tmp_path, b"PAR1", "t.parquet")
    for name in ("pyarrow", "pyarrow.parquet", "polars", "pandas"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=r"t\.parquet: .*pip install pyarrow"):
        table_of(path)


def test_a_broken_parquet_file(tmp_path):
    pytest.importorskip("polars")
    with pytest.raises(UsageError, match=r"t\.pq: cannot be read as Parquet"):
        table_of(written(tmp_path, b"PAR1 not at all PAR1", "t.pq"))
