"""Converted parts kept between runs."""

import json
import os

import pytest
from subjects import subject

from mnv3prof.bench import cache
from mnv3prof.bench.convert import convert
from mnv3prof.bench.requests import FileKind
from mnv3prof.bench.workers import Failed
from mnv3prof.cli.main import run
from mnv3prof.device.protocol import Piece
from mnv3prof.record.run import Weights

SMALL = subject("small", 32)
ONNX = FileKind("onnx", "fp32", 1)
PIECES = {ONNX: (Piece("", "1"), Piece("", "2"))}


def _heard(folder, subjects={"": SMALL}, pieces=PIECES):  # noqa: B006
    heard = []
    found = convert(pieces, subjects, folder, hear=heard.append)
    assert not any(isinstance(entry, Failed) for entry in found.values())
    return found, heard


def test_a_second_run_converts_nothing(tmp_path):
    first, heard = _heard(tmp_path)
    assert heard == ["converting to onnx: 1 of 2", "converting to onnx: 2 of 2"]
    again, heard = _heard(tmp_path)
    assert heard == []
    assert again == first


@pytest.mark.parametrize("damage", ["truncated", "changed", "file gone", "manifest gone", "manifest torn"])
def test_a_damaged_entry_is_made_again(damage, tmp_path):
    first, _ = _heard(tmp_path)
    key, entry = first[ONNX, Piece("", "1")]
    file, manifest = tmp_path / key / entry.main, tmp_path / key / "entry.json"
    data = file.read_bytes()
    match damage:
        case "truncated":
            file.write_bytes(data[:-1])
        case "changed":
            file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        case "file gone":
            file.unlink()
        case "manifest gone":
            manifest.unlink()
        case "manifest torn":
            manifest.write_bytes(manifest.read_bytes()[:10])
    again, heard = _heard(tmp_path)
    assert len(heard) == 1
    assert (tmp_path / again[ONNX, Piece("", "1")][0] / entry.main).read_bytes() == data


def test_everything_that_matters_is_in_the_key(monkeypatch):
    def key(net=SMALL, part="1", form="onnx", dtype="fp32", batch=1):
        return cache.key(net, part, form, dtype, batch)

    keys = [
        key(), key(part="2"), key(form="openvino"), key(dtype="int8"), key(batch=2),
        key(subject("small", 33)), key(subject("small-minimal", 32)),
        key(subject("small", 32, Weights("w.pt", "0" * 64))),
    ]  # fmt: skip
    assert len(set(keys)) == len(keys)
    assert key() == keys[0]
    cache._version.cache_clear()
    monkeypatch.setattr(cache, "version", lambda package: "another" if package == "torch" else "1")
    assert key() != keys[0]
    cache._version.cache_clear()


def test_what_was_used_least_recently_leaves_first(tmp_path):
    found, _ = _heard(tmp_path)
    (old, entry), (new, _) = found.values()
    os.utime(tmp_path / old, (1, 1))
    size = sum(file.stat().st_size for file in (tmp_path / new).iterdir())
    cache.trim(tmp_path, most=size)
    assert not (tmp_path / old).exists()
    assert cache.find(tmp_path, new)
    assert entry.bytes > 0


def test_a_failed_conversion_leaves_nothing(tmp_path):
    def fail(draft):
        (draft / "half").write_bytes(b"x")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        cache.keep(tmp_path, "k", fail)
    assert list(tmp_path.iterdir()) == []


def test_the_command_tells_and_clears(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MNV3PROF_CACHE", str(tmp_path / "kept"))
    assert (
        run(
            [
                "latency",
                "small",
                "--input",
                "32",
                "--on",
                "onnxruntime",
                "--rows",
                "1",
                "--time-budget",
                "0.1",
            ]
        )
        == 0
    )
    capsys.readouterr()
    assert run(["cache", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["folder"] == str(tmp_path / "kept")
    assert found["entries"] == 1
    assert found["bytes"] > 1000
    assert run(["cache", "--clear"]) == 0
    capsys.readouterr()
    assert run(["cache", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["entries"] == 0


def test_no_cache_keeps_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("MNV3PROF_CACHE", str(tmp_path / "kept"))
    command = [
        "latency",
        "small",
        "--input",
        "32",
        "--on",
        "onnxruntime",
        "--rows",
        "1",
        "--time-budget",
        "0.1",
    ]
    assert run([*command, "--no-cache"]) == 0
    assert not (tmp_path / "kept").exists()
