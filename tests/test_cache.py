"""The cache of converted parts."""

import json
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from subjects import subject

from mnv3prof.bench.convert import convert
from mnv3prof.cli.main import run
from mnv3prof.device.protocol import PartKey
from mnv3prof.record.run import Weights
from mnv3prof.workers import cache, cache_folder
from mnv3prof.workers.requests import FileKind
from mnv3prof.workers.worker import Failed

SMALL = subject("small", 32)
ONNX = FileKind("onnx", "fp32", 1)
COMMAND = ["export", "small", "--input", "32", "--parts", "1"]
PARTS = {ONNX: (PartKey("", "1"), PartKey("", "2"))}


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A cache with both parts."""
    folder = tmp_path_factory.mktemp("converted") / "kept"
    found, heard = _heard(folder)
    phase = "converting 2 parts for onnx: "
    assert [each.text.partition(", now")[0] for each in heard] == [f"{phase}1 of 2", f"{phase}2 of 2"]
    return folder, found


@pytest.fixture
def kept(converted: Any, tmp_path: Path) -> Any:
    """A copy of it, and the entries."""
    folder, found = converted
    return shutil.copytree(folder, tmp_path / "kept"), found


def _heard(folder: Path, subjects: Any = {"": SMALL}, parts: Any = PARTS) -> Any:  # noqa: B006
    heard: list[Any] = []
    found = convert(parts, subjects, folder, on_progress=heard.append)
    assert not any(isinstance(entry, Failed) for entry in found.values())
    return found, heard


def test_a_second_run_converts_nothing(kept: Any) -> None:
    folder, found = kept
    assert _heard(folder) == (found, [])


DAMAGES = {
    "truncated": lambda file, _: file.write_bytes(file.read_bytes()[:-1]),
    "changed": lambda file, _: file.write_bytes(file.read_bytes()[:-1] + bytes([file.read_bytes()[-1] ^ 1])),
    "file gone": lambda file, _: file.unlink(),
    "manifest gone": lambda _, manifest: manifest.unlink(),
    "manifest torn": lambda _, manifest: manifest.write_bytes(manifest.read_bytes()[:10]),
}


def test_a_damaged_entry_is_made_again(kept: Any) -> None:
    """Each part is damaged in one way; those that are not damaged are not converted."""
    folder, found = kept
    parts = {ONNX: tuple(PartKey("", row) for row in "123457")}  # row 6 is identical to row 5
    first, heard = _heard(folder, parts=parts)
    assert len(heard) == len(parts[ONNX]) - len(found)
    contents = {}
    for (key, entry), damage in zip(first.values(), DAMAGES.values(), strict=False):
        file = folder / key / entry.main
        contents[file] = file.read_bytes()
        damage(file, folder / key / "entry.json")  # type: ignore[no-untyped-call]
    assert len(contents) == len(DAMAGES)
    again, heard = _heard(folder, parts=parts)
    assert len(heard) == len(DAMAGES)
    assert {part: key for part, (key, _) in again.items()} == {part: key for part, (key, _) in first.items()}
    assert {file: file.read_bytes() for file in contents} == contents


def test_everything_that_matters_is_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def key(
        net: Any = SMALL,
        part: str = "1",
        form: Any = "onnx",
        dtype: Any = "fp32",
        batch: int = 1,
        opset: int | None = None,
        layout: Any = "nchw",
    ) -> Any:
        return cache.key(net, part, FileKind(form, dtype, batch, opset, layout))

    keys = [
        key(),
        key(part="2"),
        key(form="openvino"),
        key(dtype="int8"),
        key(batch=2),
        key(opset=13),
        key(opset=14),
        key(layout="nhwc"),
        key(subject("small", 33)),
        key(subject("small-minimal", 32)),
        key(subject("small", 32, Weights("w.pt", "0" * 64))),
    ]
    assert len(set(keys)) == len(keys)
    assert key() == keys[0]
    monkeypatch.setattr(cache, "installed", lambda package: "another" if package == "torch" else "1")
    assert key() != keys[0]


def test_what_was_used_least_recently_leaves_first(kept: Any) -> None:
    folder, found = kept
    (old, entry), (new, _) = found.values()
    os.utime(folder / old, (1, 1))
    size = sum(file.stat().st_size for file in (folder / new).iterdir())
    cache.trim(folder, most=size)
    assert not (folder / old).exists()
    assert cache.find(folder, new)
    assert entry.bytes > 0


def test_a_failed_conversion_leaves_nothing(tmp_path: Path) -> None:
    def fail(draft: Any) -> None:
        (draft / "half").write_bytes(b"x")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        cache.keep(tmp_path, "k", fail)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_the_command_tells_and_clears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MNV3PROF_CACHE", str(tmp_path / "kept"))
    assert run([*COMMAND, "-o", str(tmp_path / "x.onnx")]) == 0
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


def test_no_cache_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNV3PROF_CACHE", str(tmp_path / "kept"))
    assert run([*COMMAND, "--no-cache", "-o", str(tmp_path / "x.onnx")]) == 0
    assert not (tmp_path / "kept").exists()


def _made(folder: Path, name: str, data: Any = b"x" * 1_000_000) -> Any:
    def make(draft: Any) -> Any:
        (draft / "main").write_bytes(data)
        return draft / "main", 1.0

    return cache.keep(folder, name, make)


def test_everything_is_counted_trimmed_and_cleared(tmp_path: Path) -> None:
    """Entries, inductor's files and drafts of killed runs; other files in the folder stay."""
    _made(tmp_path, "k")
    (tmp_path / "other").write_bytes(b"x" * 100)
    for name in (".draft-x/a/file", "inductor/aa/file", "inductor/bb/file"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"x" * 1_000_000)
    (tmp_path / "trials-1.json").write_bytes(b"[]")
    (tmp_path / "space-1.npz").write_bytes(b"x" * 10)
    found = cache.contents(tmp_path)
    assert found.entries == 2
    assert found.bytes == 4_000_012 + (tmp_path / "k" / "entry.json").stat().st_size
    os.utime(tmp_path / "inductor" / "aa", (1, 1))
    cache.trim(tmp_path, most=3_500_000)
    assert not (tmp_path / "inductor" / "aa").exists()
    assert (tmp_path / ".draft-x").exists()  # another run may be writing it
    os.utime(tmp_path / ".draft-x", (1, 1))
    cache.trim(tmp_path)
    assert not (tmp_path / ".draft-x").exists()
    _, left = cache.clear(tmp_path)
    assert (left.entries, left.bytes) == (0, 0)
    assert sorted(place.name for place in tmp_path.iterdir()) == ["inductor", "other"]


def test_what_a_run_has_just_made_is_not_trimmed(tmp_path: Path) -> None:
    _made(tmp_path, "old")
    os.utime(tmp_path / "old", (1, 1))
    _made(tmp_path, "own")
    _made(tmp_path, "others")
    cache.trim(tmp_path, most=0, own={"own"})
    assert [place.name for place in tmp_path.iterdir()] == ["own"]


def test_several_that_keep_and_trim_do_not_disturb_each_other(tmp_path: Path) -> None:
    def keep_and_trim(name: str) -> Any:
        _made(tmp_path, name)
        cache.trim(tmp_path, most=3_100_000)
        cache.find(tmp_path, name)
        return cache.contents(tmp_path)

    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(keep_and_trim, map(str, range(80))))) == 80
    cache.trim(tmp_path, most=3_100_000)
    assert cache.contents(tmp_path).bytes <= 3_100_000


def test_a_cache_that_cannot_be_changed_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(30, "Read-only file system")

    entry = _made(tmp_path, "k")
    monkeypatch.setattr(os, "utime", refuse)
    assert cache.find(tmp_path, "k") == entry


def test_a_damaged_entry_that_cannot_be_removed_is_put_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _made(tmp_path, "k")
    (tmp_path / "k" / "main").write_bytes(b"damaged")
    monkeypatch.setattr(cache.shutil, "rmtree", lambda *_, **__: None)  # type: ignore[attr-defined]
    assert cache.find(tmp_path, "k") is None
    entry = _made(tmp_path, "k", b"right")
    assert cache.find(tmp_path, "k") == entry
    assert (tmp_path / "k" / "main").read_bytes() == b"right"


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"{}",
        b"[" * 10_000,
        b'{"main":"a","seconds":1,"bytes":1,"digests":{"/dev/zero":""}}',
        b'{"main":"a","seconds":1,"bytes":1,"digests":{"pipe":""}}',
        b'{"main":"../etc/passwd","seconds":1,"bytes":1,"digests":{}}',
        None,
    ],
)
def test_an_entry_of_any_content_is_no_entry(manifest: Any, tmp_path: Path) -> None:
    place = tmp_path / "k"
    place.mkdir()
    os.mkfifo(place / ("pipe" if manifest is not None else "entry.json"))
    if manifest is not None:
        (place / "entry.json").write_bytes(manifest)
    assert cache.find(tmp_path, "k") is None
    assert not place.exists()


def _told(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Any:
    told: list[Any] = []
    monkeypatch.setenv("MNV3PROF_CACHE", str(folder))
    cache_folder._usable.cache_clear()
    return cache_folder.usable_folder(told.append), told


@pytest.mark.parametrize("place", ["/dev/null/x", "file", "/proc/x"])
def test_a_cache_that_cannot_be_made_is_a_temporary_folder_and_said_once(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_bytes(b"kept")
    folder, told = _told(monkeypatch, tmp_path / place)
    assert [
        text.startswith(f"mnv3prof: {tmp_path / place}: the cache cannot be written") for text in told
    ] == [True]
    _made(folder, "k")
    assert cache.find(folder, "k")
    assert (tmp_path / "file").read_bytes() == b"kept"
    assert run(["cache"]) == (0 if place == "/proc/x" else 2)
    assert "Traceback" not in capsys.readouterr().err


def test_entries_of_a_cache_that_cannot_be_written_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = _made(tmp_path / "kept", "k")
    _made(tmp_path / "kept", "damaged")
    (tmp_path / "kept" / "damaged" / "main").write_bytes(b"x")
    monkeypatch.setattr(cache_folder, "_problem", lambda _: "Read-only file system")
    folder, told = _told(monkeypatch, tmp_path / "kept")
    assert len(told) == 1
    assert cache.find(folder, "k") == entry
    assert cache.find(folder, "damaged") is None
    made = _made(folder, "damaged", b"right")
    assert cache.find(folder, "damaged") == made
    assert (tmp_path / "kept" / "damaged" / "main").read_bytes() == b"x"


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text")
def test_a_name_that_is_not_text_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, told = _told(monkeypatch, tmp_path / os.fsdecode(b"\xff"))
    assert "its name is not UTF-8" in told[0]


def test_a_disk_that_is_full_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    _, told = _told(monkeypatch, tmp_path)
    assert "No space left on device" in told[0]


def test_an_entry_that_is_hidden_from_the_user_is_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _made(tmp_path, "k")
    (tmp_path / "k" / "main").write_bytes(b"x")
    monkeypatch.setattr(os, "access", lambda *_: False)
    _, told = _told(monkeypatch, tmp_path)
    assert "k in it can be neither used nor replaced" in told[0]


def test_clear_says_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MNV3PROF_CACHE", str(tmp_path))
    _made(tmp_path, "k")
    monkeypatch.setattr(cache, "_remove", lambda _: None)
    assert run(["cache", "--clear"]) == 2
    out, err = capsys.readouterr()
    assert "0 B" in out
    assert f"{tmp_path}: 1 entries" in err
    assert "cannot be removed" in err


def test_compiled_files_are_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    with cache.opened(tmp_path):
        assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "inductor")
    with cache.opened(None) as folder:
        assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(folder / "inductor")
    assert "TORCHINDUCTOR_CACHE_DIR" not in os.environ
