"""Damaged files and command lines, which `test_fuzz` passes to the command line."""

import copy
import json
import math
import random
import re
from pathlib import Path
from typing import Any

import msgspec
import torch
from runs import made
from subjects import subject

from mnv3prof.claims.claim import judge
from mnv3prof.mobilenetv3.network import build
from mnv3prof.mobilenetv3.writing import to_csv
from mnv3prof.record.accuracy import Accuracy
from mnv3prof.record.document import run_document, table_fields
from mnv3prof.record.embedded import embed
from mnv3prof.record.findings import Evidence, findings_document
from mnv3prof.source import read_table
from mnv3prof.train.recipe import Recipe, make_optimizer

TABLE = b'name="t"\nstem=8\nlast=16\nclasses=10\nrows=[[8,8,3,1,false,"RE"],[24,16,3,2,true,"HS"]]\n'
BUDGETS = b'[tool.mnv3prof.budgets]\nmacs = "60M"\narena = ["2MiB", { limit = "1MiB", dtype = "int8" }]\nparams = ["3M", "+5%"]\n'
ESCAPES = "\x1b]0;owned\x07\x1b[2J\u202e\u2066\x9b"
TEXTS = (
    "",
    "x" * 3_000,
    ESCAPES,
    "=cmd|' /C calc'!A0",
    "+1",
    "-1",
    "@x",
    "\t=1",
    "\n::error::x",
    "[/red]",
    "../..",
    "\x00",
    "nan",
    "1e999",
    "0x10",
    "٣",
    "-0",
    "null",
    "a,b;c",
    "%s{}",
    "💥" * 99,
    "</script>",
    "net",
    "int8",
)
NUMBERS = (0, -1, 1, 2**31, 2**53, 2**63, 2**64, 10**30, 10**400, 0.0, -0.5, 1e308, 5e-324, math.pi)
VALUES: Any = (
    *TEXTS,
    *NUMBERS,
    None,
    True,
    False,
    [],
    {},
    [[]],
    [None],
    {"": {}},
    [1] * 50,
    {"a": [1, {"b": 2}]},
)
TOKENS = (
    *(text.encode("utf-8", "surrogatepass") for text in TEXTS),
    b"[" * 200,
    b"{" * 200,
    b"\xff\xfe",
    b"\r",
    b'"""',
    b"a." * 40,
    b"=",
    b"9" * 400,
    b"-",
    b"1e5",
    b"true",
    b"\xef\xbb\xbf",
    b",,,",
    b"#",
    b"[[a]]\n",
    b"<",
    b"&#0;",
)


class Material:
    """Good files of each kind, made once."""

    def __init__(self) -> None:
        runs = [made(seed=seed, count=20) for seed in (0, 1)]
        small = subject("small", 32)
        table = read_table("small")
        evidence = Evidence(subject=small, runs=(runs[0],))
        created = "2026-01-01T00:00:00+00:00"
        plain = [run_document(_with_accuracies(run)) for run in runs]
        self.runs = [json.loads(msgspec.json.encode(document)) for document in plain]
        findings = findings_document(evidence, judge(evidence, ("K3",)), created)
        self.findings = json.loads(msgspec.json.encode(findings))
        self.table = {"table": table_fields(table), "input": [32, 32]}
        self.csv = to_csv(table).encode()
        self.checkpoint = _checkpoint()


def _with_accuracies(run: Any) -> Any:
    fp32, other = run.targets
    accuracies = (
        Accuracy(target=fp32, data="made", images=40, wrong=(1, 3)),
        Accuracy(target=other, data="made", images=40, wrong=(2,)),
        Accuracy(target=msgspec.structs.replace(other, dtype="int8"), data="made", reason="none"),
    )
    return msgspec.structs.replace(run, accuracies=accuracies)


def _checkpoint() -> Any:
    table = msgspec.structs.replace(
        read_table("small-minimal"), rows=read_table("small-minimal").rows[:1], last=8
    )
    model = build(table)
    recipe = Recipe(epochs=1, warmup_epochs=0)
    optimizer = make_optimizer(model, recipe)
    model(torch.ones(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    return {
        "mnv3prof": 1,
        "table": msgspec.json.encode(table).decode(),
        "state_dict": model.state_dict(),
        "input": (8, 8),
        "classes": ("a", "b"),
        "mean": (0.0, 0.0, 0.0),
        "std": (1.0, 1.0, 1.0),
        "data": "made",
        "digest": "0" * 64,
        "images": torch.zeros(2, 3, 8, 8),
        "accuracy": 0.5,
        "recipe": msgspec.json.encode(recipe).decode(),
        "history": '[{"number":1,"lr":0.01,"loss":1.0,"accuracy":0.5,"seconds":1.0}]',
        "optimizer": optimizer.state_dict(),
    }


def damaged_bytes(data: Any, chance: Any) -> Any:
    """One to four bytes changed, cut out, doubled or put in, or the end cut off."""
    data = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at = chance.randrange(len(data) + 1)
        upto = min(len(data), at + chance.choice((1, 2, 20, 500)))
        match chance.randrange(6):
            case 0:
                del data[at:upto]
            case 1:
                data[at:at] = data[at:upto]
            case 2:
                data[at:at] = chance.choice(TOKENS)
            case 3:
                data[at:upto] = chance.randbytes(upto - at)
            case 4 if chance.random() < 0.3:
                del data[at:]
            case _:
                if at < len(data):
                    data[at] ^= 1 << chance.randrange(8)
    return bytes(data)


def damaged_values(document: Any, chance: Any) -> Any:
    """One to three values anywhere in a document replaced, removed, doubled or renamed."""
    document = copy.deepcopy(document)
    for _ in range(chance.choice((1, 1, 1, 3))):
        place = document
        while True:
            keys = list(place) if isinstance(place, dict) else range(len(place))
            if not keys:
                break
            key = chance.choice(keys)
            inner = place[key]
            if isinstance(inner, (dict, list)) and inner and chance.random() < 0.85:
                place = inner
                continue
            match chance.randrange(5):
                case 0:
                    del place[key]
                case 1 if isinstance(place, list):
                    place.insert(key, copy.deepcopy(inner))
                case 2 if isinstance(place, dict):
                    place[chance.choice(TEXTS)] = place.pop(key)
                case _:
                    place[key] = chance.choice(VALUES)
            break
    return document


TENSORS = (
    lambda: torch.tensor(1.0),
    lambda: torch.zeros(0),
    lambda: torch.ones(2, dtype=torch.complex64),
    lambda: torch.ones(3).to_sparse(),
    lambda: torch.ones(1).expand(10**9),
    lambda: torch.ones(2, device="meta"),
    lambda: torch.full((3,), math.nan),
    lambda: torch.ones(2, dtype=torch.bool),
    lambda: torch.quantize_per_tensor(torch.ones(2), 1.0, 0, torch.qint8),
    lambda: torch.ones(1, 3, 8, 8),
)


def damaged_checkpoint(document: Any, chance: Any) -> Any:
    """A checkpoint with entries, or tensors of its state, replaced by others."""
    document = {**document, "state_dict": dict(document["state_dict"])}
    for _ in range(chance.randint(1, 2)):
        place = chance.choice((document, document, document.get("state_dict")))
        if not isinstance(place, dict) or not place:
            continue
        key = chance.choice(list(place))
        value = chance.choice(TENSORS)() if chance.random() < 0.5 else chance.choice(VALUES)
        match chance.randrange(4):
            case 0:
                place.pop(key)
            case 1:
                place[chance.choice((*TEXTS, 1))] = place.pop(key)
            case _:
                place[key] = value
    return document


OPTIONS = {
    "--input": ("8", "0", "32x", "192x256", "9" * 40, "1e3", *TEXTS),
    "--width": ("0.5", "0", "-1", "nan", "inf", "1e400", *TEXTS),
    "--width-rule": ("paper", "torchvision", *TEXTS),
    "--classes": ("2", "0", "-5", "9" * 30, *TEXTS),
    "--activation": ("relu", "HS", *TEXTS),
    "--format": ("json", "csv", "md", "table", "xml", *TEXTS),
    "--dtype": ("int8", "fp8", *TEXTS),
    "--batch": ("2", "0", "9" * 20, *TEXTS),
    "--fit": ("64KiB", "1B", "-1", "9" * 99 + "GiB", *TEXTS),
    "--budget": (
        "macs=1M",
        "macs",
        "=",
        "arena=1KiB",
        "x=1",
        "latency.cpu=1ms",
        *(f"macs={text}" for text in TEXTS),
    ),
    "--by": ("layer", "op", *TEXTS),
    "--as": ("thop", *TEXTS),
    "--reduced-tail": (None,),
    "--dilated": (None,),
    "--standard-conv": (None,),
    "--without-se": (None,),
    "--nope": (None,),
}


def options(chance: Any, most: int = 3) -> Any:
    """Options with good and bad values."""
    found = []
    for name in chance.sample(list(OPTIONS), chance.randint(0, most)):
        value = chance.choice(OPTIONS[name][: 2 if chance.random() < 0.7 else None])
        found += [name] if value is None else [name, value.replace("\x00", "")]
    return found


def case(number: Any, material: Any, folder: Path) -> Any:
    """The command line of a case; its files are in `folder`."""
    chance = random.Random(f"case {number}")
    kind = chance.choices(
        ("table", "run", "page", "budgets", "findings", "weights", "checkpoint", "options"),
        (25, 20, 8, 12, 8, 14, 1, 25),
    )[0]
    return _CASES[kind](chance, material, folder)


def _table_case(chance: Any, material: Any, folder: Path) -> Any:
    suffix, data = chance.choice(((".toml", TABLE), (".csv", material.csv), (".json", None)))
    if data is None:
        data = json.dumps(damaged_values(material.table, chance)).encode()
    path = folder / f"t{suffix}"
    path.write_bytes(damaged_bytes(data, chance) if suffix != ".json" or chance.random() < 0.2 else data)
    command = chance.choice(
        (["flops"], ["table"], ["memory"], ["compare", "small"], ["check", "--budget", "macs=1M"])
    )
    return [*command, str(path), *_form(chance)]


def _form(chance: Any) -> Any:
    return ["--format", form] if (form := chance.choice(("", "json", "csv", "md"))) else []


def _run_case(chance: Any, material: Any, folder: Path) -> Any:
    path, other = folder / "r.json", folder / "s.json"
    document = damaged_values(chance.choice(material.runs), chance)
    data = json.dumps(document).encode()
    path.write_bytes(damaged_bytes(data, chance) if chance.random() < 0.2 else data)
    other.write_text(json.dumps(material.runs[0]), encoding="utf-8")
    command = chance.choice(
        (
            ["latency"],
            ["latency"],
            ["flops"],
            ["memory"],
            ["diff", str(other)],
            ["compare", str(other)],
            ["check", "--budget", "latency.cpu=1ms"],
            ["check", "--budget", "macs=+5%", "--baseline", str(other)],
        )
    )
    return [*command, str(path), *_form(chance)]


def _page_case(chance: Any, material: Any, folder: Path) -> Any:
    path = folder / "p.html"
    documents = [
        json.dumps(damaged_values(chance.choice(material.runs), chance)).encode()
        for _ in range(chance.randint(1, 2))
    ]
    page = f"<!doctype html><p>x</p>{''.join(map(embed, documents))}".encode()
    path.write_bytes(damaged_bytes(page, chance) if chance.random() < 0.5 else page)
    command = chance.choice((["latency"], ["flops"], ["report", "--format", "md"], ["diff", "small"]))
    return [*command, str(path) + chance.choice(("", "", "#1", "#2", "#x"))]


def _budgets_case(chance: Any, _: Any, folder: Path) -> Any:
    path = folder / "b.toml"
    path.write_bytes(damaged_bytes(BUDGETS, chance))
    form = chance.choice(
        (*[[]] * 2, ["--format", "json"], ["--format", "junit"], ["--format", "github"], ["--format", "csv"])
    )
    return ["check", "small", "--budgets", str(path), "--baseline", "large", *form]


def _findings_case(chance: Any, material: Any, folder: Path) -> Any:
    path = folder / "f.json"
    path.write_bytes(json.dumps(damaged_values(material.findings, chance)).encode())
    return ["claims", *chance.choice(([], ["K3"], ["--explain", "K3"])), str(path), *_form(chance)]


def _weights_case(chance: Any, material: Any, folder: Path) -> Any:
    """What is wrong with the export is found out once the weights are read."""
    _save(chance, material, folder / "w.pt")
    text = chance.choice(TEXTS).replace("\x00", "")
    return [
        "export",
        *chance.choice(([], ["small"])),
        *chance.choice(
            (["--parts", f"x{text}"], ["--parts", "1,net"], ["--opset", "8"], ["--layout", "nhwc"])
        ),
        "--weights",
        str(folder / "w.pt"),
        "-o",
        str(folder / "x.onnx"),
    ]


def _checkpoint_case(chance: Any, material: Any, folder: Path) -> Any:
    _save(chance, material, folder / "c.pt")
    (folder / "t.toml").write_bytes(TABLE)
    how = ["--input", "8", "--epochs", "1", "--no-autoaugment", "--no-warmup", "--resume"]
    return ["train", str(folder / "t.toml"), *how, "-o", str(folder / "c.pt")]


def _save(chance: Any, material: Any, path: Path) -> None:
    document = material.checkpoint if chance.random() < 0.5 else material.checkpoint["state_dict"]
    if document is material.checkpoint and chance.random() < 0.6:
        document = damaged_checkpoint(document, chance)
    torch.save(document, path, _use_new_zipfile_serialization=chance.random() < 0.8)
    if chance.random() < 0.7:
        path.write_bytes(damaged_bytes(path.read_bytes(), chance))


def _options_case(chance: Any, _: Any, folder: Path) -> Any:
    known = ("flops", "table", "memory", "compare", "check", "diff")
    command = chance.choice((*known * 3, "backend", "flop s", ESCAPES))
    source = chance.choice((["small"], ["small"], [], [chance.choice(TEXTS).replace("\x00", "")]))
    output = [
        "-o",
        str(folder / chance.choice(("out.json", "out.csv", "out.md", "out", "no/out.csv", "a\nb.csv"))),
    ]
    return [command, *source, *options(chance), *(output if chance.random() < 0.4 else [])]


_CASES = {
    "table": _table_case,
    "run": _run_case,
    "page": _page_case,
    "budgets": _budgets_case,
    "findings": _findings_case,
    "weights": _weights_case,
    "checkpoint": _checkpoint_case,
    "options": _options_case,
}

NUMBER = re.compile(r"[-+]?([0-9.]+(e[-+]?[0-9]+)?|inf|nan)", re.IGNORECASE)
