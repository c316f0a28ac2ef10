"""Tables are read as matrices with names, and what is no table of numbers is named."""

import pandas as pd
import pytest

from neuron_eval.matrices import MatrixFileError
from neuron_eval.matrix_files import read_matrix, read_vector


def _csv(tmp_path, text, name="m.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "names", "rows", "values"),
    [
        ("file,a,b\nx.png,1,2\nNA,3,4\n", ("a", "b"), ("x.png", "NA"), [[1, 2], [3, 4]]),
        ("Input,a\n007,1\n12,0\n", ("a",), ("007", "12"), [[1], [0]]),
        (",0,1\n0,1,2\n1,3,4\n", ("0", "1"), ("0", "1"), [[1, 2], [3, 4]]),
        ("index,a\n0,1\n1,0\n1,1\n", ("index", "a"), None, [[0, 1], [1, 0], [1, 1]]),
        ("a,file\n1,0.5\n", ("a", "file"), None, [[1, 0.5]]),
        ("\ufeffa,b\r\n1e-3,True\r\n2,False\r\n", ("a", "b"), None, [[0.001, 1], [2, 0]]),
    ],
)
def test_csv(tmp_path, text, names, rows, values):
    matrix = read_matrix(_csv(tmp_path, text))
    assert (matrix.names, matrix.rows) == (names, rows)
    assert matrix.values.tolist() == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column names"),
        ("a,b\n", "0 rows and 2 columns"),
        ("a,a\n1,2\n", "'a' more than once"),
        ("0.5,1\n0.1,0\n", "only numbers"),
        ("a,b\n1,2\n3\n", "column 'b' has no number in row 2"),
        ("a,b\n1,\n", "column 'b' has no number in row 1"),
        ("a,b\n1,2,3\n", "rows of different lengths"),
        ("a,b\n1,2\n1,2,3\n", "rows of different lengths"),
        ("a,b\n1,2\n1,high\n", "column 'b' has 'high' in row 2"),
        ("a\n1\n\n2\n", "column 'a' has no number in row 2"),
        ("file\nx.png\n", "names of inputs only"),
        ("a,b\n1,2\n".encode("utf-16").decode("latin-1"), "m.csv"),
    ],
)
def test_csv_refuses(tmp_path, text, message):
    with pytest.raises(MatrixFileError, match=message):
        read_matrix(_csv(tmp_path, text))


def test_csv_refuses_other_encodings_and_keys(tmp_path):
    path = tmp_path / "m.csv"
    path.write_bytes("größe\n1\n".encode("latin-1"))
    with pytest.raises(MatrixFileError, match="UTF-8"):
        read_matrix(path)
    with pytest.raises(MatrixFileError, match="leave the key out"):
        read_matrix(_csv(tmp_path, "a\n1\n"), key="a")
    with pytest.raises(MatrixFileError, match="no such file"):
        read_matrix(tmp_path / "other.csv")


def test_parquet_index_and_columns(tmp_path):
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [True, False]}, index=["x.png", "y.png"])
    frame.to_parquet(tmp_path / "m.parquet")
    matrix = read_matrix(tmp_path / "m.parquet")
    assert (matrix.names, matrix.rows) == (("a", "b"), ("x.png", "y.png"))
    assert matrix.values.tolist() == [[1, 1], [2, 0]]
    assert read_vector(tmp_path / "m.parquet", "a").tolist() == [1, 2]
    pd.DataFrame({"a": [1.0, None]}).to_parquet(tmp_path / "m.parquet")
    with pytest.raises(MatrixFileError, match="column 'a' has no number in row 2"):
        read_matrix(tmp_path / "m.parquet")


def test_vectors_of_tables(tmp_path):
    path = _csv(tmp_path, "file,label,weight\nx,3,0.5\ny,4,1.5\n")
    labels = read_vector(path, "label")
    assert labels.tolist() == [3, 4]
    assert labels.dtype.kind == "i"
    with pytest.raises(MatrixFileError, match=r"2 columns.*'label', 'weight'"):
        read_vector(path)
    with pytest.raises(MatrixFileError, match="no column 'labels'; the columns are 'file'"):
        read_vector(path, "labels")
    assert read_vector(_csv(tmp_path, "file,label\nx,3\n")).tolist() == [3]
