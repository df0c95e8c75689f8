import os
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from random_tables import tables
from subjects import subject

from mnv3prof.graph.errors import InputError
from mnv3prof.mobilenetv3 import files
from mnv3prof.mobilenetv3.cells import activation_code
from mnv3prof.mobilenetv3.table import Row, Table
from mnv3prof.mobilenetv3.writing import to_csv, to_toml
from mnv3prof.record.document import table_document
from mnv3prof.source import read_table

# The paper's Tables 1 and 2: expand, out, kernel, stride, SE, activation.
LARGE = """
16 16 3 1 - RE | 64 24 3 2 - RE | 72 24 3 1 - RE | 72 40 5 2 SE RE | 120 40 5 1 SE RE | 120 40 5 1 SE RE
240 80 3 2 - HS | 200 80 3 1 - HS | 184 80 3 1 - HS | 184 80 3 1 - HS | 480 112 3 1 SE HS | 672 112 3 1 SE HS
672 160 5 2 SE HS | 960 160 5 1 SE HS | 960 160 5 1 SE HS"""
SMALL = """
16 16 3 2 SE RE | 72 24 3 2 - RE | 88 24 3 1 - RE | 96 40 5 2 SE HS | 240 40 5 1 SE HS | 240 40 5 1 SE HS
120 48 5 1 SE HS | 144 48 5 1 SE HS | 288 96 5 2 SE HS | 576 96 5 1 SE HS | 576 96 5 1 SE HS"""
HEADER = "expand,out,kernel,stride,SE,activation\n"
TOML = 'rows = [[16, 16, 3, 1, false, "RE"]]\n'


def _rows(text: str) -> Any:
    cells = [row.split() for row in text.replace("\n", "|").split("|") if row.strip()]
    return tuple(Row(*map(int, c[:4]), c[4] == "SE", c[5]) for c in cells)  # type: ignore[arg-type, call-arg]


@pytest.mark.parametrize(("name", "rows", "last"), [("large", LARGE, 1280), ("small", SMALL, 1024)])
def test_presets_are_the_papers(name: str, rows: Any, last: int) -> None:
    table = read_table(name)
    assert table.rows == _rows(rows)
    assert (table.stem, table.head, table.last, table.classes) == (16, None, last, 1000)
    assert (table.stem_activation, table.head_activation, table.dropout) == ("HS", "HS", 0.2)


@pytest.mark.parametrize(("name", "rows"), [("large-minimal", LARGE), ("small-minimal", SMALL)])
def test_minimalistic_presets_have_no_se_one_kernel_and_relu(name: str, rows: Any) -> None:
    table = read_table(name)
    assert [(r.expand, r.out, r.stride) for r in table.rows] == [
        (r.expand, r.out, r.stride) for r in _rows(rows)
    ]
    assert {(r.kernel, r.se, r.activation) for r in table.rows} == {(3, False, "RE")}
    assert (table.stem_activation, table.head_activation) == ("RE", "RE")


def _write(folder: Path, name: str, content: Any) -> Any:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        HEADER + "16,16,3,1,no,RE\n64,24,3,2,yes,HS\n",
        "\ufeff" + HEADER + "16,16,3,1,FALSE,relu\r\n64,24,3,2,TRUE,hardswish\r\n",
        "expand;out;kernel;stride;SE;activation\n16;16;3;1;0;RE\n64;24;3;2;1;hswish\n",
        "expand\tout\tkernel\tstride\tse\tactivation\n16.0\t16\t3\t1\t-\tre\n64\t24.0\t3\t2\t✓\ths\n",
        "Activation,SE,Stride,Kernel,Out,Expand\nRE,no,1,3,16,16\n HS , yes , 2 , 3 , 24 , 64 \n\n,,,,,\n",
        "# a comment\n# stem = 16\n" + HEADER + "16,16,3,1,no,RE\n64,24,3,2,yes,HS\n",
        "\n,,,\n# stem = 16\n\n# dropout = 0.2\n" + HEADER + "16,16,3,1,no,RE\n64,24,3,2,yes,HS\n",
        '# stem = 16,,,,,\n"# dropout = 0.2",,,,,\n' + HEADER + "16,16,3,1,no,RE\n64,24,3,2,yes,HS\n",
        "expand,out,kernel,stride,SE,activation,,\n16,16,3,1,no,RE,,\n64,24,3,2,yes,HS\n,,,,,,,\n",
        'expand, out, kernel, stride, "SE", "activation"\n16, 16, 3, 1, "no", "RE"\n64, 24, 3, 2, "yes", "HS"\n',
    ],
)
def test_csv_as_spreadsheets_write_it(tmp_path: Path, text: Any) -> None:
    table = read_table(_write(tmp_path, "net.csv", text))
    assert table.rows == (Row(16, 16, 3, 1, False, "RE"), Row(64, 24, 3, 2, True, "HS"))
    assert (table.name, table.stem, table.dropout) == ("net", 16, 0.2)


def test_settings_above_a_csv(tmp_path: Path) -> None:
    text = '# name = "my, net"\n# last = 64\n# se_form = "linear"\n' + HEADER + "8,8,3,1,yes,SW\n"
    table = read_table(_write(tmp_path, "net.csv", text))
    assert (table.name, table.last, table.se_form) == ("my, net", 64, "linear")


def test_toml_with_every_key(tmp_path: Path) -> None:
    text = """
name = "all"
stem = 8
head = 40
last = 24
classes = 3
dropout = 0
stem_activation = "relu6"
head_activation = "SW"
conv = "dense-depthwise"
norm_between = false
se_ratio = 16
se_form = "linear"
se_activation = "relu6"
se_gate = "sigmoid"
divisor = 4
bn_eps = 1e-5
bn_momentum = 0.1
rows = [
  [16, 8, 3, 1, true, "HS-CLAMP", 2],
  { expand = 16, out = 8, kernel = 5, stride = 1, se = false, activation = "R6", identity = false },
]
"""
    assert read_table(_write(tmp_path, "net.TOML", text)) == Table(
        name="all",
        stem=8,
        head=40,
        last=24,
        classes=3,
        dropout=0,
        stem_activation="R6",
        head_activation="SW",
        conv="dense-depthwise",
        norm_between=False,
        se_ratio=16,
        se_form="linear",
        se_activation="relu6",
        se_gate="sigmoid",
        divisor=4,
        bn_eps=1e-5,
        bn_momentum=0.1,
        rows=(Row(16, 8, 3, 1, True, "HS-CLAMP", 2), Row(16, 8, 5, 1, False, "R6", 1, False)),
    )


@given(tables)
@settings(max_examples=60)
def test_what_the_tool_writes_it_reads(tmp_path_factory: pytest.TempPathFactory, table: Table) -> None:
    folder = tmp_path_factory.mktemp("round")
    written = {
        "net.csv": to_csv(table).encode(),
        "net.toml": to_toml(table).encode(),
        "table.json": msgspec.json.encode(table_document(subject(table, 8))),
    }
    for name, content in written.items():
        assert read_table(_write(folder, name, content)) == table


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        (
            "a.toml",
            'rows = [[0, 16, 3, 1, false, "RE"]]',
            "row 1, column expand: 0 is not allowed; expected an integer from 1 to 65,536",
        ),
        (
            "a.toml",
            'rows = [[16, 16, 3, 1, false, "RE"], [16, -8, 3, 1, false, "RE"]]',
            "row 2, column out: -8 is not allowed; expected an integer from 1 to 65,536",
        ),
        (
            "a.toml",
            'rows = [[16, 16, 4, 1, false, "RE"]]',
            "row 1, column kernel: 4 is not allowed; expected an odd integer from 1 to 63",
        ),
        (
            "a.toml",
            'rows = [[16, 16, 3, 9, false, "RE"]]',
            "row 1, column stride: 9 is not allowed; expected an integer from 1 to 8, or [height, width] that differ",
        ),
        (
            "a.toml",
            'rows = [[16, 16, 3, [2, "1"], false, "RE"]]',
            'row 1, column stride: [2, "1"] is not allowed; expected an integer from 1 to 8',
        ),
        (
            "a.toml",
            'rows = [[16, 16, 3, 1, false, "RE", 1, true, "fused"]]',
            "row 1: has 9 values; expected [expand, out, kernel, stride, se, activation], optionally with",
        ),
        (
            "a.toml",
            'rows = [{ expand = 16, out = 16, kernel = 3, stride = 1, se = false, activation = "RE", bias = 1 }]',
            "row 1: the column 'bias' is unknown; ",
        ),
        (
            "a.toml",
            'rows = [{ expand = 16, out = 16, kernel = 3, stride = 1, se = false, activation = "RE", se_of = "out" }]',
            "row 1, column se_of: 'out' is not allowed; expected expand or input, or left out",
        ),
        (
            "a.toml",
            TOML + "head = [960, [320]]",
            "key head, layer 2: [320] is not allowed; expected an integer from 1 to 65,536, or a table of out, kernel,",
        ),
        (
            "a.toml",
            TOML + "last = [960, 0]",
            "key last, layer 2: 0 is not allowed; expected an integer from 1 to 65,536, or a table of out, form,",
        ),
        (
            "a.toml",
            TOML + "stem_stride = [1, 9]",
            "key stem_stride: [1, 9] is not allowed; expected an integer from 1 to 8, or [height, width] that differ",
        ),
        ("a.toml", TOML + 'project_activation = "gelu"', "HS-CLAMP (hardswish_clamp), SW (swish) or none"),
        (
            "a.toml",
            TOML + "head = [960, { kernel = 3 }]",
            "key head, layer 2: the key out is missing; expected out, kernel, bias, norm, activation",
        ),
        (
            "a.toml",
            TOML + "head = [960, { out = 3, form = 1 }]",
            "key head, layer 2: the key 'form' is unknown; ",
        ),
        (
            "a.toml",
            TOML + 'last = [{ out = 3, activation = "gelu" }]',
            "key last, layer 1: activation: 'gelu' is not allowed; expected RE (relu)",
        ),
        (
            "a.toml",
            TOML + "last = [{ out = 0 }]",
            "key last, layer 1: out: 0 is not allowed; expected an integer from 1 to 65,536",
        ),
        (
            "a.toml",
            TOML + 'last = [128, { out = 64, form = "conv" }]',
            "key last: a convolution after a linear layer is not allowed; expected linear",
        ),
        (
            "a.toml",
            TOML + 'classifier_form = "conv"',
            "key classifier_form: a convolution after a linear layer is not allowed; expected linear",
        ),
        (
            "a.toml",
            TOML + 'last = [128, 64]\nnames = "timm"',
            "key last: 2 layers are not allowed; expected at most 1 with names timm",
        ),
        (
            "a.toml",
            TOML + 'stages = [1, 1]\nnames = "timm"',
            "key stages: they have 2 rows; expected 1, as in rows",
        ),
        (
            "a.toml",
            TOML + "stages = [1]",
            'key stages: they are not used with names torchvision; expected names = "timm"',
        ),
        (
            "a.toml",
            TOML + 'classes = 0\nlast = [128, { out = 64, form = "conv" }]',
            "key last: a convolution after a linear layer is not allowed; expected linear",
        ),
        (
            "a.toml",
            TOML + 'classes = 0\nlast = [128]\nclassifier_form = "conv"',
            "key classifier_form: a convolution after a linear layer is not allowed; expected linear",
        ),
        (
            "a.toml",
            'rows = [[70000, 16, 3, 1, false, "RE"]]',
            "row 1, column expand: 70000 is not allowed; expected an integer from 1 to 65,536",
        ),
        (
            "a.toml",
            'rows = [[16, 16, 3, 1, false, "GELU"]]',
            "row 1, column activation: 'GELU' is not allowed; expected RE (relu)",
        ),
        (
            "a.toml",
            'rows = [["x", 16, 3, 1, false, "RE"]]',
            "row 1, column expand: 'x' is not allowed; expected an integer",
        ),
        (
            "a.toml",
            'rows = [[nan, 16, 3, 1, false, "RE"]]',
            "row 1, column expand: nan is not allowed; expected an integer",
        ),
        (
            "a.toml",
            "rows = [[16, 16, 3, 1, false]]",
            "row 1: has 5 values; expected [expand, out, kernel, stride, se, activation]",
        ),
        ("a.toml", "rows = [7]", "row 1: 7 is not a row; expected a list of values"),
        ("a.toml", "rows = []", "key rows: 0 rows are not allowed; expected 1 to 1,000"),
        ("a.toml", 'name = "x"', "the key rows is missing; expected a list of rows"),
        ("a.toml", "rows = 3", "the key rows is 3; expected a list of rows"),
        ("a.toml", TOML + "steem = 16", "the key 'steem' is unknown; did you mean stem?"),
        ("a.toml", TOML + "zzz = 16", "the key 'zzz' is unknown; expected name, channels"),
        (
            "a.toml",
            TOML + "classes = -1",
            "key classes: -1 is not allowed; expected an integer from 0 to 65,536",
        ),
        (
            "a.toml",
            TOML + "head_activation = 'GELU'",
            "key head_activation: 'GELU' is not allowed; expected RE (relu)",
        ),
        ("a.toml", "rows = [", "is not valid TOML"),
        (
            "a.toml",
            'rows = [{expand=16, out=16, kernel=3, stride=1, se=false, activation="RE", kernl=3}]',
            "row 1: the column 'kernl' is unknown; did you mean kernel?",
        ),
        (
            "a.toml",
            "rows = [{expand=16, out=16, kernel=3, stride=1, se=false}]",
            "row 1: the column activation is missing",
        ),
        ("a.toml", b"rows = \xff\xfe", "line 1: the bytes are not UTF-8"),
        ("a.toml", b"# fine\nname = '\xe9'", "line 2: the bytes are not UTF-8"),
        ("a.csv", "", "is empty; expected the header expand,out"),
        ("a.csv", HEADER, "key rows: 0 rows are not allowed"),
        ("a.csv", "expand,out,kernel,stride,SE\n1,1,3,1,no\n", "header: the column activation is missing"),
        (
            "a.csv",
            "expand,out,kernel,stride,SE,activaton\n1,1,3,1,no,RE\n",
            "header: the column 'activaton' is unknown; did you mean activation?",
        ),
        ("a.csv", "expand,out,out,kernel,stride,SE,activation\n", "header: the column out is there twice"),
        (
            "a.csv",
            HEADER + "16,16,3,1,no,RE\n16,16,3,1,no\n",
            "row 2: has 5 cells; expected 6, as in the header",
        ),
        (
            "a.csv",
            HEADER + "16,16,3,1,no,RE\nsix,16,3,1,no,RE\n",
            "row 2, column expand: 'six' is not allowed; expected an integer",
        ),
        ("a.csv", HEADER + "16.5,16,3,1,no,RE\n", "row 1, column expand: '16.5' is not allowed"),
        ("a.csv", HEADER + ",16,3,1,no,RE\n", "row 1, column expand: '' is not allowed"),
        (
            "a.csv",
            HEADER + "16,16,3,1,maybe,RE\n",
            "row 1, column SE: 'maybe' is not allowed; expected true, false, or the squeezed width",
        ),
        ("a.csv", HEADER + '16,16,3,1,no,"RE\n', "is not valid CSV: unexpected end of data"),
        (
            "a.csv",
            HEADER + "16,16,3,1,no,RE,\n16,16,3,1,no,RE,HS\n",
            "row 1: has 7 cells; expected 6, as in the header",
        ),
        (
            "a.csv",
            HEADER + "?,16,3,1,no,RE\n" * 1001,
            "key rows: 1,001 rows are not allowed; expected 1 to 1,000",
        ),
        ("a.csv", "# stem = x\n" + HEADER + "16,16,3,1,no,RE\n", "is not valid TOML"),
        ("a.json", "[1, 2]", "holds no table; expected an object with the key rows"),
        ("a.json", '{"rows": [[16, 16, 3, 1, false, "RE"]', "is not valid JSON"),
        (
            "a.json",
            '{"rows": [{"expand": 16, "Expand": 17, "out": 16, "kernel": 3, "stride": 1, "SE": false, "activation": "RE"}]}',
            "row 1: the column expand is there twice",
        ),
        (
            "a.json",
            '{"table": {"rows": [[16, 16, 3, 1, null, "RE"]]}}',
            "row 1, column SE: null is not allowed",
        ),
        (
            "a.json",
            '{"rows": [[16, 16, 3, 1, false, "RE"]], "stem": 8, "st\\u0065m": 16}',
            "the key 'stem' is there twice; expected once",
        ),
        (
            "a.json",
            '{"rows": [{"expand": 16, "out": 16, "kernel": 3, "kernel": 5, "stride": 1, "se": false, "activation": "RE"}]}',
            "the key 'kernel' is there twice; expected once",
        ),
        (
            "a.json",
            '{"table": {"rows": [[16, 16, 3, 1, false, "RE"]]}, "input": [8, 8], "input": [9, 9]}',
            "the key 'input' is there twice; expected once",
        ),
        (
            "a.json",
            '{"table": {"stem": 8, "stem": 8, "rows": [[16, 16, 3, 1, false, "RE"]]}, "input": [8, 8]}',
            "the key 'stem' is there twice; expected once",
        ),
        ("a.json", "[" * 100_000 + "]" * 100_000, "is nested too deeply"),
        (
            "a.yaml",
            "rows:",
            "is not a file of a known type; expected .toml, .csv, .json, .html, .onnx, .tflite or .pt2",
        ),
        ("a.toml", b"#" * 10_000_001, "is too large; expected at most 524,288 bytes"),
    ],
)
def test_what_makes_no_network_is_refused_in_one_sentence(
    tmp_path: Path, name: str, content: Any, sentence: str
) -> None:
    path = _write(tmp_path, name, content)
    with pytest.raises(InputError) as refused:
        read_table(path)
    message = str(refused.value)
    assert message.startswith(str(path))
    assert sentence in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        (b"r\xc3\xa9seau", "réseau"),
        (b"r\xe9seau", "r?seau"),
        (b"a\x1b[1mb\nc", "a?[1mb c"),
        (b"x" * 240, "x" * 200),
    ],
)
def test_a_table_without_a_name_is_called_as_its_file(tmp_path: Path, stem: Any, name: Any) -> None:
    path = tmp_path / os.fsdecode(stem + b".toml")
    try:
        path.write_text(TOML, encoding="utf-8")
    except OSError:
        pytest.skip("the file system has no such name")
    assert read_table(path).name == name


@pytest.mark.parametrize("name", ["net.toml", "net", "no/such/net.toml", "large.toml"])
def test_a_missing_file_names_the_presets(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        InputError, match=r"no such file or preset; (did you mean|expected a file, or large, small)"
    ):
        read_table(tmp_path / name)


def test_a_directory_is_no_table(tmp_path: Path) -> None:
    folder = tmp_path / "net.toml"
    folder.mkdir()
    with pytest.raises(
        InputError, match=r"is a directory; expected \.toml, \.csv, \.json, \.html, \.onnx, \.tflite or \.pt2"
    ):
        read_table(folder)


@pytest.mark.parametrize("suffix", [".toml", ".csv", ".json"])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path, suffix: str) -> None:
    pipe = tmp_path / f"net{suffix}"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match="is not a regular file"):
        read_table(pipe)


@pytest.mark.parametrize(
    "text",
    [
        ".".join(["a"] * 60_000) + " = 1",
        f"[{' . '.join(['a'] * 40)}]",
        "x = {" + ".".join(['"a b"'] * 34) + " = 1}",
        "\n\n" + "\t.\t".join(["'a'"] * 34) + "=1",
    ],
)
def test_a_key_of_many_parts_is_refused_before_it_is_parsed(
    tmp_path: Path, text: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tomllib.loads", None)
    path = tmp_path / "a.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(
        InputError, match=r"a.toml, line [13]: a key of more than 32 parts; expected at most 4"
    ):
        read_table(path)


def test_no_text_makes_the_search_for_long_keys_slow() -> None:
    from time import process_time

    begin = process_time()
    for text in (
        "a" * 2**19,
        "a " * 2**17,
        "a." * 2**4 + "a" * 2**19,
        '"' * 2**19,
        "a" + " " * 2**19,
        "'.'." * 2**16,
    ):
        files._LONG_KEY.search(text)
    assert process_time() - begin < 10


def test_text_with_many_dots_is_no_key(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(
        f'name = "{"1. " * 20}"\n# {"..." * 40}\nrows = [[16, 16, 3, 1, false, "RE"]]', encoding="utf-8"
    )
    assert read_table(path).name == "1. " * 20


def test_a_name_in_csv_begins_no_formula(tmp_path: Path) -> None:
    table = msgspec.structs.replace(read_table("small"), name="a,=1+1; @x, and so on")
    text = to_csv(table)
    assert not any(cell.strip().startswith(("=", "@")) for cell in re.split("[,;\n]", text))
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8")
    assert read_table(path) == table


@pytest.mark.parametrize("source", ["a\0b.toml", "x" * 5_000 + ".toml", ""])
def test_what_is_no_file_name(source: Any) -> None:
    with pytest.raises(InputError):
        read_table(source)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("relu", "RE"),
        ("RE", "RE"),
        ("hswish", "HS"),
        ("hard_swish", "HS"),
        ("Hard-Swish", "HS"),
        ("silu", "SW"),
        ("hs-relu6", "HS-RELU6"),
        (" relu6 ", "R6"),
    ],
)
def test_activations_by_code_and_by_name(name: str, code: str) -> None:
    assert activation_code(name) == code


def test_comments_of_another_form_are_for_people(tmp_path: Path) -> None:
    path = tmp_path / "net.csv"
    path.write_text(
        "## classes = 7\n# see note: a = b\n# classes = 5\nexpand,out,kernel,stride,se,activation\n"
        "16,16,3,1,false,RE\n",
        encoding="utf-8",
    )
    assert read_table(path).classes == 5
