"""Training data: the digits, and folders of images."""

import os
import shutil
import sys
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mnv3prof.graph.errors import InputError
from mnv3prof.train.data import digits, image_folder

RED, BLUE = (255, 0, 0), (0, 0, 255)


def _picture(path: Path, color: Any, size: Any = (20, 10)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Any:
    for n in range(10):
        _picture(tmp_path / "red" / f"{n}.png", RED)
        _picture(tmp_path / "blue" / "more" / f"{n}.jpg", BLUE)
    return tmp_path


def test_a_fifth_of_each_digit_is_held_out_always_the_same() -> None:
    found, again = digits((8, 8)), digits((8, 8))
    # scikit-learn's documentation: 1797 samples, 178 to 183 a class.
    counts = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    both = torch.cat([found.train_labels, found.held_labels])
    assert torch.bincount(both).tolist() == counts
    assert torch.bincount(found.held_labels).tolist() == [36, 36, 35, 37, 36, 36, 36, 36, 35, 36]
    assert found.digest == again.digest != digits((8, 9)).digest
    assert found.classes == tuple("0123456789")


def test_no_digit_that_is_held_out_is_trained_on() -> None:
    """Each of scikit-learn's rows is in one of the two parts, as often as it is there."""
    from sklearn.datasets import load_digits

    found = digits((8, 8))  # the size they have, so that upsampling changes nothing
    images = torch.cat([found.train_images, found.held_images])  # type: ignore[list-item]
    rows = (images[:, 0] * found.std[0] + found.mean[0]).flatten(1) * 16
    ours = np.sort(np.rint(rows.numpy()).astype(np.int64) @ (17 ** np.arange(64, dtype=object)))
    theirs = np.sort(load_digits().data.astype(np.int64) @ (17 ** np.arange(64, dtype=object)))
    assert (ours == theirs).all()


def test_digits_are_upsampled_gray_and_normalized() -> None:
    found = digits((32, 48))
    assert found.train_images.shape == (1438, 3, 32, 48)  # type: ignore[union-attr]
    assert found.train_images.dtype == torch.float32  # type: ignore[union-attr]
    assert torch.equal(found.train_images[:, 0], found.train_images[:, 2])  # type: ignore[index]
    assert abs(found.train_images.mean()) < 0.05  # type: ignore[operator]
    assert 0.5 < found.train_images.std() < 1.1  # type: ignore[operator]


def test_a_folder_for_each_class(folder: Path) -> None:
    (folder / ".hidden").mkdir()
    (folder / "red" / ".DS_Store").write_bytes(b"x")
    found = image_folder(folder, (6, 8))
    assert (found.classes, found.name, found.skipped) == (("blue", "red"), folder.name, ())
    assert (len(found.train_labels), len(found.held_labels)) == (16, 4)
    assert found.held_labels.tolist() == [0, 0, 1, 1]
    red = found.train_images[found.train_labels == 1]
    assert red.shape == (8, 3, 6, 8)
    # (1 − 0.485) / 0.229, (0 − 0.456) / 0.224, (0 − 0.406) / 0.225: ImageNet's mean and deviation.
    expected = torch.tensor([2.2489083, -2.0357143, -1.8044444])
    assert torch.allclose(red.mean((0, 2, 3)), expected, atol=1e-5)
    assert len(found.train_images) == 16
    assert torch.equal(found.train_images[3:5], found.train_images[torch.tensor([3, 4])])


def test_a_picture_is_turned_upright_and_cropped_in_the_middle(tmp_path: Path) -> None:
    for n in range(2):
        picture = Image.new("RGB", (40, 10), BLUE)
        picture.paste(RED, (15, 0, 25, 10))
        exif = Image.Exif()
        exif[0x0112] = 6  # taken with the camera on its side
        (tmp_path / "a").mkdir(exist_ok=True)
        picture.save(tmp_path / "a" / f"{n}.png", exif=exif)
        _picture(tmp_path / "b" / f"{n}.png", BLUE)
    found = image_folder(tmp_path, (10, 10))
    assert found.train_images.data[0, 0].min() == 255  # only the red middle is left


def test_what_is_no_image_is_skipped_and_named(folder: Path) -> None:
    whole = (folder / "red" / "0.png").read_bytes()
    bad = {
        "cut.png": whole[: len(whole) // 2],
        "notes.txt": b"not an image",
        "empty.jpg": b"",
        "flipped.png": whole[:30] + bytes([whole[30] ^ 255]) + whole[31:],
    }
    for name, content in bad.items():
        (folder / "red" / name).write_bytes(content)
    heard: list[Any] = []
    found = image_folder(folder, (8, 8), on_progress=heard.append)
    assert [file for file, _ in found.skipped] == sorted(str(folder / "red" / name) for name in bad)
    assert all(reason and "\n" not in reason and str(folder) not in reason for _, reason in found.skipped)
    assert len(found.train_labels) + len(found.held_labels) == 20
    assert heard[-1].text == "reading images: 24 of 24"


def test_an_image_of_too_many_pixels_is_skipped_before_it_is_decoded(
    folder: Path, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    Image.new("1", (13_000, 13_000)).save(folder / "red" / "big.png")  # Pillow itself would warn, and decode
    begin = process_time()
    found = image_folder(folder, (8, 8))
    assert process_time() - begin < 10
    assert found.skipped == (
        (str(folder / "red" / "big.png"), "13000x13000 pixels; expected at most 50,000,000"),
    )
    assert capsys.readouterr() == ("", "")
    assert not recwarn


def test_a_large_jpeg_is_decoded_small(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (4_000, 2_000), (200, 0, 0)).save(folder / "red" / "large.jpg")
    sizes, plainly = [], Image.Image.convert
    monkeypatch.setattr(
        Image.Image,
        "convert",
        lambda image, mode: sizes.append(image.size) or plainly(image, mode),  # type: ignore[func-returns-value]
    )
    assert not image_folder(folder, (100, 60)).skipped
    assert max(sizes) == (500, 250)  # an eighth, and twice what is needed


@pytest.mark.skipif(sys.platform != "linux", reason="names there are bytes")
def test_names_that_are_not_text_are_shown_as_far_as_they_can_be(folder: Path) -> None:
    shutil.copytree(folder / "red", folder / os.fsdecode(b"re\xffd\x1b"))
    (folder / "red" / os.fsdecode(b"\xff.png")).write_bytes(b"x")
    found = image_folder(folder, (8, 8))
    assert "re?d?" in found.classes
    assert found.skipped[0][0].endswith("red/?.png")


def _says(path: Path) -> Any:
    with pytest.raises(InputError) as error:
        image_folder(path, (8, 8))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_folder_that_cannot_be_learnt_from_is_refused(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    empty = tmp_path_factory.mktemp("empty")
    assert _says(empty) == (
        f"{empty}: has no folders; expected two or more folders, each with images of a class"
    )
    assert "no such folder" in _says(empty / "missing")
    assert "is not a folder" in _says(folder / "red" / "0.png")
    (empty / "only").mkdir()
    assert "has only the folder only; expected two or more folders" in _says(empty)
    (folder / "green").mkdir()
    assert "class green has 0 readable images; expected at least 2" in _says(folder)
    for n in range(3):
        (folder / "green" / f"{n}.png").write_bytes(b"x")
    assert "3 skipped, the first 0.png: Unidentified" in _says(folder)


def test_more_images_than_memory_takes_are_refused_before_any_is_read(folder: Path) -> None:
    with pytest.raises(InputError, match=r"20 images take .* GiB at this input size; expected at most"):
        image_folder(folder, (200_000, 200_000))


@pytest.mark.parametrize(
    ("module", "package"), [("sklearn.datasets", "scikit-learn"), ("PIL.Image", "Pillow")]
)
def test_what_is_not_installed_is_named(
    module: str, package: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=rf"{package} is not installed; pip install 'mnv3prof\[train\]'"):
        digits((8, 8)) if package == "scikit-learn" else image_folder(folder, (8, 8))
