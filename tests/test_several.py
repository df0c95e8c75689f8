"""Parts with several inputs and outputs, and with integers, on each runtime, against PyTorch eager."""

import json
import re
from pathlib import Path
from typing import Any

import networks
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

import mnv3prof
from mnv3prof.bench.profile import Request, profile
from mnv3prof.bench.schedule import BenchPlan, measure
from mnv3prof.bench.tolerances import TOLERANCES
from mnv3prof.cli.main import run
from mnv3prof.device.agreement import worst_errors
from mnv3prof.device.protocol import Classify, PartKey
from mnv3prof.device.runtimes import Job, Unsupported
from mnv3prof.device.worker import Runner
from mnv3prof.graph.graph import Block, Graph, Layer, Tensor
from mnv3prof.record.run import Captured, Subject
from mnv3prof.record.target import Target
from mnv3prof.source import open_source
from mnv3prof.workers.cache import default_folder, key
from mnv3prof.workers.captured import CapturedParts
from mnv3prof.workers.file_parts import FileParts
from mnv3prof.workers.formats import computed
from mnv3prof.workers.requests import FileKind

RUNTIMES = ("onnxruntime", "openvino", "mnn", "ncnn", "litert", "torchscript", "cpu")
"""All but the two that take minutes: executorch and cpu-compile."""
SIZES = "3x16x16,3x16x16"
CROSS = "cross"
"""The block of Pair with two inputs and two outputs."""


def pair() -> Subject:
    return open_source("networks:Pair", SIZES).subject


def timed(network: Subject, on: Any, parts: Any, **how: Any) -> Any:
    """The timings by backend and part."""
    targets = tuple(Target(backend=name, **how) for name in on)
    keys = tuple(PartKey("", part) for part in parts)
    timings = measure(BenchPlan({"": network}, keys, targets, default_folder(), 0.3))
    return {(timing.target.backend, timing.part): timing for timing in timings}


def failures(timings: Any) -> dict[Any, str]:
    return {at: f"{each.status}: {each.reason}" for at, each in timings.items() if each.status != "ok"}


def test_the_block_between_has_two_inputs_and_two_outputs() -> None:
    graph = pair().graph
    block = next(block for block in graph.blocks if block.name == CROSS)
    assert graph.ends(block.layers) == (("right", "left"), ("sub", "mean"))
    parts = CapturedParts(pair(), 1)
    for part, second in ((parts.part(CROSS), 8), (parts.part("net"), 5)):
        assert [tuple(each.shape) for each in part.expected] == [(1, 8, 16, 16), (1, second)]
        swapped = computed(part.module, part.given[::-1])
        found = worst_errors(
            [each.numpy() for each in swapped], tuple(each.numpy() for each in part.expected)
        )
        assert found.rms > 0.1  # so that a runtime that reorders its inputs is seen


def test_every_runtime_is_given_all_inputs_and_all_its_outputs_are_compared() -> None:
    timings = timed(pair(), RUNTIMES, (CROSS, "net"))
    assert failures(timings) == {}
    assert len(timings) == 2 * len(RUNTIMES)
    assert all(each.rms_rel_err < 1e-5 for each in timings.values())


@pytest.mark.parametrize("dtype", ["int8", "fp16"])
def test_several_inputs_in_other_dtypes(dtype: Any) -> None:
    """Calibration has tuples too; integers stay what they are."""
    on = ("onnxruntime", "openvino") if dtype == "int8" else ("cpu", "ncnn")
    timings = timed(pair(), on, ("net",), dtype=dtype)
    assert failures(timings) == {}
    for timing in timings.values():
        assert 1e-6 < timing.rms_rel_err < TOLERANCES[timing.target.dtype].net_rms
    if dtype == "fp16":
        tokens = open_source("networks:Tokens", "[16]:int64").subject
        assert failures(timed(tokens, ("cpu",), ("net",), dtype="fp16")) == {}


def test_several_images_of_several_inputs() -> None:
    timings = timed(pair(), ("onnxruntime", "cpu"), (CROSS, "net"), batch=3)
    assert failures(timings) == {}
    (refused,) = timed(pair(), ("ncnn",), ("net",), batch=3).values()
    assert refused.reason == "it supports batch 1, not 3"


@pytest.mark.parametrize("dtype", ["int64", "int32"])
def test_integers_on_every_runtime(dtype: str) -> None:
    network = open_source("networks:Tokens", f"[16]:{dtype}").subject
    on = RUNTIMES if dtype == "int64" else ("onnxruntime", "cpu")
    timings = timed(network, on, ("net",))
    assert failures(timings) == {}
    given = CapturedParts(network, 1).whole.given
    assert given[0].dtype == getattr(torch, dtype)
    assert {*given[0].flatten().tolist()} == {0, 1}


def test_classes_of_pixels_are_compared_exactly() -> None:
    timings = timed(open_source("networks:Segments", "3x16x16").subject, RUNTIMES, ("net",))
    assert failures({at: each for at, each in timings.items() if at[0] != "ncnn"}) == {}
    ncnn = timings["ncnn", "net"]
    says = "conversion: ncnn has no layer for torch.argmax, which pnnx left as it was"
    assert (ncnn.status, ncnn.reason) == ("unsupported", says)


def test_operators_of_a_part_with_several_inputs(capsys: pytest.CaptureFixture[str]) -> None:
    """Each runtime's profiler is given them all."""
    on = ("onnxruntime", "openvino", "mnn", "litert", "cpu")
    options = ["--on", ",".join(on), "--parts", "net", "--ops", "--time-budget", "1", "--format", "json"]
    assert run(["latency", "networks:Pair", "--input", SIZES, *options]) == 0
    operators = json.loads(capsys.readouterr().out)["operators"]
    for name in on:
        kinds = [each["kind"] for each in operators if each["target"]["backend"] == name]
        assert sum(bool(re.search("conv|fully", kind, re.IGNORECASE)) for kind in kinds) >= 4, (name, kinds)


def test_modules_given_as_objects() -> None:
    torch.manual_seed(3)
    found = mnv3prof.measure(
        mnv3prof.load(networks.Pair(), (torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8))),
        on=("onnxruntime", "cpu"),
        parts="all",
        budget_s=0.3,
    )
    assert {(each.part, each.status, each.reason) for each in found.timings} == {
        (part, "ok", "")
        for part in ("left", CROSS, "fc", "net")  # right is as left
    }


def test_another_device_is_sent_all_inputs(pi: None) -> None:
    tokens = open_source("networks:Tokens", "[16]:int64").subject
    for network, parts in ((pair(), (CROSS, "net")), (tokens, ("net",))):
        targets = tuple(Target(backend=name, device="pi") for name in ("onnxruntime", "ncnn"))
        found = profile(
            Request({"": network}, {"": parts}, targets, 0.3, 60, default_folder(), peaks=False)
        ).timings
        assert [(each.status, each.reason) for each in found] == [("ok", "")] * 2 * len(parts)
        assert all(each.rms_rel_err < 1e-5 for each in found if each.rms_rel_err is not None)


# ---------------------------------------------------------------- files


def onnx_file(folder: Path) -> Path:
    """Two inputs, one of integers, two outputs; tensors inside have the names that parts use."""
    weight = np.random.default_rng(0).normal(size=(7, 6)).astype(np.float32)
    product = np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["table", "words"], ["x1"], "look_up"),
        helper.make_node("Add", ["scale", "scale"], ["y"], "twice"),
        helper.make_node("Sub", ["x1", "y"], ["x"], "subtract"),
        helper.make_node("MatMul", ["x", "product"], ["scores"], "multiply"),
        helper.make_node("ReduceMean", ["scores"], ["mean"], "mean", axes=[1], keepdims=0),
    ]
    ends = [
        helper.make_tensor_value_info("words", TensorProto.INT64, [1, 5]),
        helper.make_tensor_value_info("scale", TensorProto.FLOAT, [1, 5, 6]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 5, 4]),
        helper.make_tensor_value_info("mean", TensorProto.FLOAT, [1, 4]),
    ]
    stored = [
        onnx.numpy_helper.from_array(values, name)
        for name, values in (("table", weight), ("product", product))
    ]
    graph = helper.make_graph(nodes, "g", ends[:2], ends[2:], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, folder / "net.onnx")
    return folder / "net.onnx"


def test_an_onnx_file(tmp_path: Path) -> None:
    network = open_source(str(onnx_file(tmp_path))).subject
    assert network.captured is not None
    assert network.captured.dtypes == ("int64", "float32")
    part = FileParts(network, 1).part("net")
    words, scale = part.given
    stored = onnx.load(tmp_path / "net.onnx").graph.initializer
    table, product = (torch.from_numpy(onnx.numpy_helper.to_array(each).copy()) for each in stored)
    scores = (table[words] - 2 * scale) @ product
    for ours, theirs in zip((scores, scores.mean(1)), part.expected, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)
    parts = (*network.graph.block_names, "net")
    assert failures(timed(network, ("onnxruntime", "openvino", "mnn"), parts)) == {}
    assert {*failures(timed(network, ("cpu", "litert"), ("net",))).values()} == {
        "unsupported: PyTorch does not run a .onnx file",
        "unsupported: conversion: litert is converted from PyTorch, not from a .onnx file",
    }


def test_an_onnx_file_on_ncnn(tmp_path: Path) -> None:
    torch.onnx.export(pair_module(), (torch.zeros(1, 3, 8, 8),) * 2, tmp_path / "pair.onnx", dynamo=False)
    network = open_source(str(tmp_path / "pair.onnx")).subject
    assert failures(timed(network, ("ncnn", "onnxruntime"), (*network.graph.block_names, "net"))) == {}


def pair_module() -> torch.nn.Module:
    torch.manual_seed(0)
    return networks.Pair().eval()


def test_a_tflite_file(tmp_path: Path) -> None:
    import litert_torch

    module, images = pair_module(), (torch.randn(1, 3, 8, 8), torch.randn(1, 3, 8, 8))
    litert_torch.convert(module, images).export(str(tmp_path / "pair.tflite"))
    network = open_source(str(tmp_path / "pair.tflite")).subject
    assert network.captured is not None
    assert network.captured.dtypes == ("float32", "float32")
    part = FileParts(network, 1).part("net")
    with torch.no_grad():
        outputs = module(*part.given)
    assert torch.allclose(part.expected[0], outputs["map"][0], atol=1e-5)
    assert torch.allclose(part.expected[1], outputs["classes"], atol=1e-5)
    assert failures(timed(network, ("litert",), ("net",))) == {}


def test_inputs_that_are_not_timed(tmp_path: Path) -> None:
    ends = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, [1, 4]) for name in "ab"]
    graph = helper.make_graph([helper.make_node("Relu", ["a"], ["b"])], "g", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph), tmp_path / "net.onnx")
    network = open_source(str(tmp_path / "net.onnx")).subject
    with pytest.raises(
        Unsupported, match="an input of float64; inputs of float32, int64, int32, bool are timed"
    ):
        FileParts(network, 1)


def test_export_writes_each_input_and_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    monkeypatch.chdir(tmp_path)
    files = ["-o", "pair.onnx", "--input-file", "in.bin", "--expected-file", "out.bin"]
    assert run(["export", "networks:Pair", "--input", SIZES, *files]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "pair.onnx",
        "in0.bin",
        "in1.bin",
        "out0.bin",
        "out1.bin",
    }
    given = [np.fromfile(name, "<f4").reshape(1, 3, 16, 16) for name in ("in0.bin", "in1.bin")]
    outputs = onnxruntime.InferenceSession("pair.onnx").run(None, dict(zip(("x", "x1"), given, strict=True)))
    for output, name in zip(outputs, ("out0.bin", "out1.bin"), strict=True):
        assert np.allclose(output.ravel(), np.fromfile(name, "<f4"), atol=1e-4)
    files = ["-o", "tokens.onnx", "--input-file", "tokens.bin"]
    assert run(["export", "networks:Tokens", "--input", "[16]:int64", *files]) == 0
    assert {*np.fromfile("tokens.bin", "<i8").tolist()} == {0, 1}


# ---------------------------------------------------------------- errors, keys


def test_the_worst_output_counts() -> None:
    expected = (np.array([3.0, -4.0], np.float32), np.array([2.0], np.float32))
    assert worst_errors([expected[0], np.array([1.0])], expected) == pytest.approx((1, 0.5, 0.5))
    assert worst_errors([np.array([3.0, 0.0]), expected[1]], expected)[:2] == pytest.approx((4, 1))
    assert np.isnan(worst_errors([np.array([3.0, np.nan]), np.array([2.0])], expected).rms)
    assert np.isnan(worst_errors([expected[0], np.array([np.nan])], expected).rms)
    with pytest.raises(ValueError, match="it has 1 outputs; expected PyTorch's, 2"):
        worst_errors(expected[0], expected)


def test_an_output_of_classes_is_right_or_wrong() -> None:
    """Class 501 in place of 500 is as wrong as class 3."""
    expected = (np.array([500, 7, 0, 9]),)
    for wrong in (501, 3):
        assert worst_errors(np.array([wrong, 7, 0, 9], np.float32), expected) == (0.25, 0.25, 0.25)
    assert worst_errors(np.array([500, 7, 0, 9], np.int32), expected) == (0, 0, 0)
    assert worst_errors(np.array([True, False]), (np.array([True, True]),)) == (0.5, 0.5, 0.5)


def test_images_are_classified_by_networks_of_one_image() -> None:
    image = np.zeros((1, 2), np.float32)
    for given in ((image, image), (image.astype(np.int64),)):
        job = Job("net", "", given, (image,), "fp32", 1)
        runner = Runner(lambda _: None, lambda _, job=job: job)  # type: ignore[misc]
        with pytest.raises(Unsupported, match="one input of floats"):
            runner.classify(Classify(PartKey("", "net"), "", "", "fp32", 1, "images.npy"))


def _chain(outputs: tuple[str, ...], dtype: str = "float32") -> Subject:
    layers = (Layer("a", "relu", ("x",), (4,), "", "a"), Layer("b", "relu", ("a",), (4,), "", "b"))
    graph = Graph("net", (Tensor("x", (4,)),), outputs, (Block("1", "block 1", layers, ()),))
    return Subject(None, (1, 4), None, Captured("net", "module", graph, (dtype,)))


def test_what_a_part_hands_on_and_the_dtypes_of_inputs_are_in_the_cache_key() -> None:
    kind = FileKind("onnx", "fp32", 1)
    found = [key(each, "1", kind) for each in (_chain(("b",)), _chain(("a", "b")), _chain(("b",), "int64"))]
    assert len({*found}) == 3
