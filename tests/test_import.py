"""`import`: what tools print on phones and boards, from lines that they document or printed."""

import json
import random
import struct
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pytest
from fuzzing import damaged_bytes
from some import some
from subjects import subject

from mnv3prof.analysis.compare import compare
from mnv3prof.cli.main import run
from mnv3prof.graph.errors import InputError
from mnv3prof.imports import readers
from mnv3prof.imports.found import Found
from mnv3prof.imports.timings import File, Told, imported
from mnv3prof.record.read import MAX_RUN_BYTES
from mnv3prof.source import open_source

SMALL = subject("small", 64)
TOLD = Told("phone", dtype="fp32", threads=1)
NETWORK = ["--network", "small", "--input", "64", "--dtype", "fp32"]

BENCHMARK_MODEL = """STARTING!
Num threads: [4]
Graph: [./net.tflite]
Input shapes: [1,3,64,64]
#threads used for CPU inference: [4]
Initialized session in 17.187ms.
count=3 first=9000 curr=8000 min=7900 max=9000 avg=8300 std=400

Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
count=50 first=1299 curr=1301 min=1250 max=1500 avg=1.3e+03 std=12{new}

Inference timings in us: Init: 17187, First inference: 9000, Warmup (avg): 8300, Inference (avg): 1.3e+03
"""
TABLE = """Profiling Info for Benchmark Initialization:
============================== Run Order ==============================
\t[node type]\t[first]\t[avg ms]\t[%]\t[cdf%]\t[mem KB]\t[times called]\t[Name]
\tAllocateTensors\t1.356\t1.356\t100.000%\t100.000%\t0.000\t1\tAllocateTensors/0

Operator-wise Profiling Info for Regular Benchmark Runs:
============================== Run Order ==============================
\t[node type]\t[first]\t[avg ms]\t[%]\t[cdf%]\t[mem KB]\t[times called]\t[Name]
\tConvolution (NHWC, F32) IGEMM\t0.5\t0.4\t80%\t80%\t0.0\t1\tDelegate/Convolution (NHWC, F32) IGEMM:0
\tAllocateTensors\t0.5\t0.9\t0%\t80%\t0.0\t0\tAllocateTensors/0
\tMean (ND) Reduce2\t0.1\t0.05\t20%\t100%\t0.0\t2\tDelegate/Mean (ND) Reduce2:1

============================== Summary by node type ==============================
\t[Node type]\t[count]\t[avg ms]\t[avg %]\t[cdf %]\t[mem KB]\t[times called]
\tConvolution (NHWC, F32) IGEMM\t1\t0.4\t80%\t80%\t0.0\t1
"""
CSV = """Operator-wise Profiling Info for Regular Benchmark Runs:
============================== Run Order ==============================
node type, start, first, avg_ms, %, cdf%, mem KB, times called, name
Convolution (NHWC, F32) IGEMM, 0, 0.5, 0.4, 80%, 80%, 0, 1, [a\tb]:0
Mean (ND), 0.4, 0.1, 0.05, 20%, 100%, 0, 1, [c]:1

Timings (microseconds): count=50 first=600 curr=500 min=480 max=700 avg=510.5 std=9
"""
PERF_TEST = """Setting intra_op_num_threads to 4
Session creation time cost: 0.0102016 s
First inference time cost: 2 ms
Total inference time cost: 0.185739 s
Total inference requests: 100
Average inference time cost: 1.85739 ms
Peak working set size: 36696064 bytes
Min Latency: 0.00183404 s
Max Latency: 0.00190312 s
P50 Latency: 0.00185674 s
P90 Latency: 0.00187215 s
P999 Latency: 0.00190312 s
"""
EXECUTOR_RUNNER = """I 00:00:00.001 executorch:executor_runner.cpp:1] Model loaded in 1.500000 ms.
I 00:00:00.004 executorch:executor_runner.cpp:2] Iteration 1 of 4: 3.250000 ms
I 00:00:00.005 executorch:executor_runner.cpp:2] Iteration 2 of 4: 1.250000 ms
I 00:00:00.006 executorch:executor_runner.cpp:2] Iteration 3 of 4: 1.300000 ms
I 00:00:00.007 executorch:executor_runner.cpp:2] Iteration 4 of 4: 1.200000 ms
"""
BENCHNCNN = """loop_count = 8
num_threads = 2
powersave = 0
gpu_device = -1
cooling_down = 0
           net.param  min =    1.10  max =    1.25  avg =    1.15
"""
MNN = """MNN benchmark
Forward type: **CPU** thread=4** precision=2
--------> Benchmarking... loop = 20, warmup = 10
[ - ] net.mnn                     max =    1.250 ms  min =    1.100 ms  avg =    1.150 ms
"""
MNN_BASIC = """                 /features.0/0/Conv_output_0 \t[Convolution] run 10 average cost 0.400000 ms, 40.0 %, FlopsRate: 9.0 %
                 /features.0/2/Relu_output_0 \t[UnaryOp] run 10 average cost 0.100000 ms, 10.0 %, FlopsRate: 0.0 %
Avg= 1.150000 ms, OpSum = 0.500000 ms min= 1.100000 ms, max= 1.250000 ms
"""


def _perf_lines(count: int = 100, seed: int = 0, median: float = 0.00185) -> str:
    chance = random.Random(seed)
    times = [chance.gauss(median, 0.00002) for _ in range(count)]
    return "".join(f"net,{time:.6g},36696064,96,{n}\n" for n, time in enumerate(times))


def _length(number: int, data: bytes) -> bytes:
    assert len(data) < 128
    return bytes([number << 3 | 2, len(data)]) + data


def _result(mean_ms: float = 1.3, **more: float) -> bytes:
    """A BenchmarkResult, as protoc's Python would write it."""
    fields = {1: mean_ms, 2: 1.25, 3: 1.5, 4: 0.012, 5: 1.29, 6: 1.26, 7: 1.4, 8: 17.187, 9: 9.0, 10: 8.3}
    fields |= {int(name[1:]): value for name, value in more.items()}
    latency = b"".join(bytes([n << 3 | 5]) + struct.pack("<f", value) for n, value in fields.items())
    misc = bytes([1 << 3 | 5]) + struct.pack("<f", 9.8) + bytes([2 << 3, 50, 3 << 3, 3])
    memory = bytes([1 << 3, 0xFF, 0x7F])
    return _length(1, b"net.tflite") + _length(2, latency) + _length(3, memory) + _length(4, misc)


def _read(data: str | bytes, kind: str | None = None) -> list[Found]:
    return readers.read(data.encode() if isinstance(data, str) else data, "file", kind)


def _one(data: str | bytes) -> Found:
    (found,) = _read(data)
    return found


def _timings(*files: str | bytes, told: Told = TOLD) -> Any:
    read = [File(f"file {n}", tuple(_read(each))) for n, each in enumerate(files)]
    return imported(read, SMALL.graph, told).timings


EXAMPLES: dict[str, str | bytes] = {
    "litert": BENCHMARK_MODEL.format(new=" p5=1260 median=1290 p95=1400"),
    "litert-operators": CSV,
    "litert-result": _result(),
    "onnxruntime": _perf_lines(),
    "onnxruntime-text": PERF_TEST,
    "executorch": EXECUTOR_RUNNER,
    "ncnn": BENCHNCNN,
    "mnn": MNN,
    "mnn-basic": MNN_BASIC,
}


def test_every_reader_recognizes_its_own_files_only() -> None:
    assert {*EXAMPLES, "etdump"} == {*readers.names()}
    for name, example in EXAMPLES.items():
        data = example.encode() if isinstance(example, str) else example
        text = data.decode("utf-8", "replace")
        assert [each for each in readers.names() if readers.reader(each).recognizes(data, text)] == [name]


@pytest.mark.parametrize("new", ["", " p5=1260 median=1290 p95=1400"])
@pytest.mark.parametrize("prefix", ["", "INFO: ", "07-29 10:00:00.000  1234  1234 I tflite  : "])
def test_benchmark_models_text_in_microseconds(prefix: str, new: str) -> None:
    text = "".join(f"{prefix}{line}\n" for line in BENCHMARK_MODEL.format(new=new).splitlines())
    found = _one(text)
    told = some(found.reported)
    assert (found.backend, found.label, found.threads, found.batch) == ("litert", "net.tflite", 4, 1)
    assert (told.calls, told.mean_s, told.min_s, told.max_s, told.sd_s) == (
        50,
        1.3e-3,
        1.25e-3,
        1.5e-3,
        1.2e-5,
    )
    assert told.percentiles == ({"5": 1.26e-3, "50": 1.29e-3, "95": 1.4e-3} if new else {})
    assert told.seconds == (1.29e-3 if new else 1.3e-3)
    assert (found.load_s, found.first_s) == (0.017187, 0.009)


def test_equal_samples_are_their_own_range() -> None:
    text = BENCHMARK_MODEL.format(new="").replace(
        "count=50 first=1299 curr=1301 min=1250 max=1500 avg=1.3e+03 std=12", "count=12 curr=1300(all same)"
    )
    told = some(_one(text).reported)
    assert (told.calls, told.min_s, told.max_s, told.seconds) == (12, 1.3e-3, 1.3e-3, 1.3e-3)


def test_statistics_with_another_mean_are_not_read_and_a_note_says_so() -> None:
    text = BENCHMARK_MODEL.format(new="").replace("avg=1.3e+03", "avg=1700")
    found = _one(text)
    assert (some(found.reported).calls, some(found.reported).mean_s) == (None, 1.3e-3)
    assert found.note.endswith(
        "line 10: the count= line has a mean of 1.7 ms, and the timings of 1.3 ms, so that line was not read."
    )
    notes = imported([File("f", tuple(_read(text)))], SMALL.graph, Told("p", dtype="fp32")).notes
    assert notes == (found.note,)
    copies = imported([File(name, tuple(_read(text))) for name in "fg"], SMALL.graph, Told("p", dtype="fp32"))
    assert copies.notes[0].startswith("A run is a copy")


def test_a_logcat_of_several_runs_and_the_operators_of_each() -> None:
    first = BENCHMARK_MODEL.format(new="") + TABLE
    found = _read(first + first.replace("1.3e+03", "1.4e+03"))
    assert [some(run.reported).mean_s for run in found] == [1.3e-3, 1.4e-3]
    for each in found:
        assert [(op.kind, op.seconds) for op in each.operators] == [
            ("Convolution (NHWC, F32) IGEMM", 4e-4),
            ("Mean (ND) Reduce2", 1e-4),
        ]
    (timing,) = _timings(first + first.replace("1.3e+03", "1.4e+03"), told=Told("phone", dtype="fp32"))
    assert (len(timing.reported), timing.seconds, timing.calls) == (2, pytest.approx(1.35e-3), 100)


def test_operators_as_csv_with_commas_in_their_kinds() -> None:
    found = _one(CSV)
    assert [(op.kind, op.name, op.seconds) for op in found.operators] == [
        ("Convolution (NHWC, F32) IGEMM", "[a b]:0", 4e-4),
        ("Mean (ND)", "[c]:1", 5e-5),
    ]
    assert (some(found.reported).seconds, found.profiled) == (510.5e-6, True)


def test_operators_inside_a_delegate_replace_it() -> None:
    outer = "\tTfLiteXNNPackDelegate\t0.5\t0.5\t100%\t100%\t0.0\t1\tnode:9\n\nDelegate internal:\n"
    head, _, rows = TABLE.partition("\tConvolution")
    section = (
        head[head.rindex("=====" * 6) - 40 :].partition("Runs:\n")[2] or head[head.rindex("\n===") + 1 :]
    )
    text = BENCHMARK_MODEL.format(new="") + f"{head}{outer}{section}\tConvolution{rows}"
    assert [op.kind for op in _one(text).operators] == ["Convolution (NHWC, F32) IGEMM", "Mean (ND) Reduce2"]


def test_the_result_file_in_milliseconds() -> None:
    found = _one(_result())
    told = some(found.reported)
    assert (found.label, told.calls) == ("net.tflite", 50)
    assert (told.seconds, told.mean_s, told.min_s, told.max_s) == pytest.approx(
        (1.29e-3, 1.3e-3, 1.25e-3, 1.5e-3)
    )
    assert (found.load_s, found.first_s) == pytest.approx((0.017187, 0.009))


def test_the_result_file_as_protocol_buffers_write_it() -> None:
    modules = ("descriptor_pb2", "descriptor_pool", "message_factory")
    descriptor_pb2, descriptor_pool, message_factory = (
        pytest.importorskip(f"google.protobuf.{name}") for name in modules
    )
    file = descriptor_pb2.FileDescriptorProto(name="b.proto", package="t", syntax="proto2")
    latency = file.message_type.add(name="Latency")
    for number in range(1, 11):
        latency.field.add(name=f"f{number}", number=number, type=2, label=1)
    misc = file.message_type.add(name="Misc")
    misc.field.add(name="num_runs", number=2, type=5, label=1)
    whole = file.message_type.add(name="Result")
    whole.field.add(name="name", number=1, type=9, label=1)
    whole.field.add(name="latency", number=2, type=11, label=1, type_name=".t.Latency")
    whole.field.add(name="misc", number=4, type=11, label=1, type_name=".t.Misc")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    result: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Result"))()
    result.name, result.latency.f1, result.latency.f5, result.misc.num_runs = "n", 2.5, 2.25, 300
    told = some(_one(result.SerializeToString()).reported)
    assert (told.calls, told.mean_s, told.seconds) == (300, 2.5e-3, 2.25e-3)


def test_the_text_of_onnxruntime_in_both_its_units() -> None:
    found = _one(PERF_TEST)
    told = some(found.reported)
    assert (found.threads, found.load_s, found.first_s) == (4, 0.0102016, 0.002)
    assert (told.calls, told.mean_s, told.min_s) == (100, 1.85739e-3, 1.83404e-3)
    assert told.percentiles == {"50": 1.85674e-3, "90": 1.87215e-3, "99.9": 1.90312e-3}
    older = "Average inference time cost: 12.5 ms\nMin Latency is 0.01sec\nP50 Latency is 0.012sec\n"
    assert some(_one(older).reported).percentiles == {"50": 0.012}
    assert _one(PERF_TEST.replace("cost: 2 ms", "cost: 0 ms")).first_s is None  # whole ms


def test_the_result_file_of_onnxruntime_holds_samples_and_a_second_run() -> None:
    first, second = _perf_lines(50), _perf_lines(30, seed=1)
    found = _read(first + second + "\nMin Latency: 0.0018 s\nMax Latency: 0.0019 s\n")
    assert [len(run.samples) for run in found] == [50, 30]
    assert found[0].samples[0] == float(first.split(",")[1])
    (timing,) = _timings(first + second)
    assert [len(launch.bursts) for launch in timing.launches] == [1, 1]
    assert (timing.calls, timing.stopped, timing.reported) == (80, "imported", ())
    assert timing.bursts[0].mean_s == pytest.approx(np.mean(found[0].samples))
    assert timing.cpu_per_wall is None


def test_what_ran_the_model_is_what_the_text_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = BENCHMARK_MODEL.format(new="")
    said = {
        "": "",
        "Use xnnpack: [1]": "",
        "Use xnnpack: [0]": "CPU without XNNPACK",
        "Use gpu: [1]\nUse xnnpack: [1]": "GPU delegate",
        "Use gpu: [1]\nExplicitly applied XNNPACK delegate, and the model": "",
        "INFO: Use NNAPI: [1]": "NNAPI delegate",
        "External delegate path: [/x.so]": "EXTERNAL delegate",
    }
    for line, accelerator in said.items():
        assert _one(text.replace("Graph:", f"{line}\nGraph:")).accelerator == accelerator
    assert _one(MNN.replace("**CPU**", "**OpenCL**")).accelerator == "OpenCL"
    _saved(tmp_path, "gpu", text.replace("Graph:", "Use gpu: [1]\nGraph:"))
    assert "litert@phone runs on GPU delegate." in capsys.readouterr().out


def test_files_of_different_models_or_accelerators_are_no_mean() -> None:
    text = BENCHMARK_MODEL.format(new="")
    with pytest.raises(
        InputError, match=r"file 1: is of the model 'large.tflite', and file 0 is of 'net.tfl"
    ):
        _timings(text, text.replace("net.tflite", "large.tflite"), told=Told("p", dtype="fp32"))
    with pytest.raises(InputError, match="file 1: was run on GPU delegate, and file 0 on the CPU; expected"):
        _timings(text, text.replace("Graph:", "Use gpu: [1]\nGraph:"), told=Told("p", dtype="fp32"))
    with pytest.raises(InputError, match="'x'"):
        _timings(_perf_lines(9), _perf_lines(9, 1).replace("net,", "x,"))
    other = text.replace("[4]", "[2]")
    assert [t.target.threads for t in _timings(text, other, told=Told("p", dtype="fp32"))] == [4, 2]


def test_a_run_that_is_there_twice_counts_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = _perf_lines(100)
    path = _saved(tmp_path, "copies", *[lines] * 5, "\ufeff" + lines, more=("--threads", "1"))
    (timing,) = some(open_source(path).run).timings
    assert len(timing.launches) == 1
    out = capsys.readouterr().out
    assert "5 runs are copies of another one and not counted: " in out
    assert "samples of 1 run, each one burst: import 6 runs together" in out
    (timing,) = _timings(lines, lines + _perf_lines(100, 1))  # a file to which a second run was appended
    assert len(timing.launches) == 2
    (timing,) = _timings(BENCHNCNN, BENCHNCNN.replace("\n", "\r\n"), told=Told("phone", dtype="fp32"))
    assert len(timing.reported) == 1
    again = imported([File("f", tuple(_read(lines)))] * 2, SMALL.graph, TOLD)
    assert again.notes[0].endswith("not counted: f has it twice, or is given twice.")
    parts = [File("f", tuple(_read(BENCHNCNN)), part) for part in ("stem", "head")]
    assert imported(parts, SMALL.graph, Told("p", dtype="fp32")).notes == ()


def test_the_text_of_another_run_is_refused() -> None:
    with pytest.raises(InputError, match="file 0: is the text of another run than file 1"):
        _timings(PERF_TEST, _perf_lines(5), told=Told("phone", dtype="fp32"))


def test_a_file_of_two_tools_is_refused() -> None:
    both = BENCHMARK_MODEL.format(new="") + BENCHNCNN
    with pytest.raises(
        InputError, match=r"has times of benchmark_model \(text\) and ncnn's benchncnn; expec"
    ):
        _read(both)
    assert _read(both, "ncnn")[0].backend == "ncnn"
    assert len(_read(_perf_lines(9) + "\nP50 Latency: 0.0018 s\n")) == 1


@pytest.mark.parametrize("name", ["onnxruntime", "ncnn", "litert"])
def test_text_as_windows_writes_it(name: str) -> None:
    text = str(EXAMPLES[name])
    assert _read(b"\xef\xbb\xbf" + text.encode()) == _read(text)
    assert _read(text.replace("\n", "\r\n").encode("utf-16")) == _read(text)
    assert _read("\ufeff" + text + "\ufeff" + text) == _read(text + text)


def test_benchmark_model_of_other_times() -> None:
    count = "count=50 first=1299 curr=1301 min=1250 max=1500 avg=1300.5 std=12\n\n"
    for last in ("Inference: 1300.5", "no stats: 1300.5", "no stats: 1300.5, with stats: 1400"):
        found = _one(f"{TABLE}{count}Average inference timings in us: Warmup: 2331.42, Init: 896, {last}\n")
        assert (some(found.reported).mean_s, found.load_s, found.first_s) == (1.3005e-3, 8.96e-4, None)
        assert (some(found.reported).calls, len(found.operators)) == (50, 2)
    for text, says in (
        (count + "Average inference timings in us: Warmup: 2, no stats: 3, with stats: 4", "is too old"),
        (
            "Inference (avg):      1.23 ms (50 runs)\n",
            "expected the file that it writes with --result_file_path",
        ),
        ("ERROR: Failed to apply GPU delegate.\nERROR: Benchmarking failed.\n", "is of a run that failed"),
    ):
        with pytest.raises(InputError) as refused:
            _read(text)
        assert says in str(refused.value)


def test_one_of_several_models_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = BENCHNCNN.splitlines()[-1]
    names = ["mobilenet_v3_small", "squeezenet", "resnet50", *(f"model_{n}_{'x' * 20}" for n in range(40))]
    path = tmp_path / "several.txt"
    path.write_text(BENCHNCNN.replace(line, "\n".join(line.replace("net.param", name) for name in names)))
    assert run(["import", str(path), *NETWORK]) == 2
    told = capsys.readouterr().err
    assert "has times of 43 models; expected --model, or names of parts: 'mobilenet_v3_small'; " in told
    assert " more" in told
    assert run(["import", str(path), *NETWORK, "--model", "squeezenet", "--format", "json"]) == 0
    (timing,) = json.loads(capsys.readouterr().out)["timings"]
    assert timing["part"] == "net"
    assert run(["import", str(path), *NETWORK, "--model", "squeezenets"]) == 2
    assert "has no times of the model 'squeezenets'; expected 'squeezenet'; " in capsys.readouterr().err
    assert run(["import", str(path), "--network", "small", "--model", "squeezenet"]) == 2
    assert "does not say its dtype; expected --dtype" in capsys.readouterr().err


def test_an_etdump_that_is_damaged_is_one_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("executorch")
    with pytest.raises(InputError) as refused:
        _read(b"\x10\0\0\0ED00" + b"\0\1\2\3" * 200)
    assert str(refused.value) == "file: is damaged or cut off; expected an ETDump"
    assert capfd.readouterr() == ("", "")


def test_the_first_iteration_of_executor_runner_is_cold() -> None:
    found = _one(EXECUTOR_RUNNER)
    assert (found.load_s, found.first_s) == (1.5e-3, 3.25e-3)
    assert found.samples == (1.25e-3, 1.3e-3, 1.2e-3)
    assert len(_read(EXECUTOR_RUNNER * 2)) == 2
    older = "Model executed successfully 10 time(s) in 25.000000 ms.\n"
    told = some(_one(older).reported)
    assert (told.calls, told.seconds, told.tool) == (
        10,
        2.5e-3,
        "executor_runner (includes the first, cold call)",
    )


@pytest.mark.parametrize(
    ("text", "backend", "calls", "threads"), [(BENCHNCNN, "ncnn", 8, 2), (MNN, "mnn", 20, 4)]
)
def test_tools_that_print_minimum_maximum_and_mean_in_ms(
    text: str, backend: str, calls: int, threads: int
) -> None:
    for each in (text, text.replace(" ms", "ms")):
        found = _one(each)
        told = some(found.reported)
        assert (found.backend, found.threads, told.calls) == (backend, threads, calls)
        assert (told.min_s, told.max_s, told.seconds) == (1.1e-3, 1.25e-3, 1.15e-3)
    gpu = _read(BENCHNCNN.replace("gpu_device = -1", "gpu_device = 0"))
    assert gpu[0].backend == "ncnn-vulkan"


def test_mnns_operators_are_joined_to_layers() -> None:
    found = imported([File("f", tuple(_read(MNN_BASIC)))], SMALL.graph, TOLD)
    assert [(op.layer, op.joined, op.seconds) for op in found.operators] == [
        ("features.0.0", "name", 4e-4),
        ("features.0.2", "name", 1e-4),
    ]
    older = (
        MNN_BASIC.replace("\t[Convolution] ", "")
        .replace("\t[UnaryOp] ", "")
        .replace("OpSum = 0.500000 ms ", "")
    )
    assert len(_one(older).operators) == 2


def test_text_result_file_and_operators_of_one_run_are_one() -> None:
    text = EXAMPLES["litert"]
    files = [File(str(n), tuple(_read(each))) for n, each in enumerate((_result(), text, CSV))]
    found = imported(files, SMALL.graph, Told("phone", dtype="fp32"))
    (timing,) = found.timings
    (told,) = timing.reported
    assert (timing.target.threads, told.calls) == (4, 50)
    assert told.sd_s == pytest.approx(1.2e-5)
    assert len(found.operators) == 2
    (timing,) = _timings(_result(), _result(1.4), told=TOLD)
    assert len(timing.reported) == 2  # of two runs


def test_samples_and_text_of_onnxruntime_are_one_run() -> None:
    lines = _perf_lines(100)
    mean = np.mean([float(line.split(",")[1]) for line in lines.splitlines()])
    text = PERF_TEST.replace("1.85739 ms", f"{mean * 1e3:.6g} ms")
    (timing,) = _timings(lines, text, told=Told("phone", dtype="fp32"))
    assert (len(timing.launches), timing.reported) == (1, ())
    assert (timing.load_s, timing.first_s, timing.target.threads) == (0.0102016, 0.002, 4)


def test_parts_are_those_of_the_user_or_of_the_models_names() -> None:
    several = BENCHNCNN + "                7.param  min =    0.10  max =    0.25  avg =    0.15\n"
    assert [timing.part for timing in _timings(several, told=Told("phone", dtype="fp32"))] == ["net", "7"]
    (timing,) = _timings(BENCHNCNN, told=Told("phone", part="stem", dtype="fp32"))
    assert timing.part == "stem"
    (timing,) = imported(
        [File("f", tuple(_read(BENCHNCNN)), "6")], SMALL.graph, Told("p", dtype="fp32")
    ).timings
    assert timing.part == "5"  # an identical block


@pytest.mark.parametrize(
    ("text", "told", "says"),
    [
        (BENCHNCNN, Told("phone"), "does not say its dtype; expected dtype"),
        (_result(), Told("phone"), "does not say its dtype and threads"),
        (BENCHNCNN, Told("phone", dtype="fp32", threads=1), "says 2 as its threads; expected that, not 1"),
        (EXAMPLES["litert"], Told("p", dtype="fp32", batch=8), "says 1 as its batch; expected that, not 8"),
        (BENCHNCNN + BENCHNCNN.replace("net.", "x."), Told("p", dtype="fp32"), "has times of 2 models"),
        (BENCHNCNN + BENCHNCNN.replace("net.", "7."), Told("p", "net", "fp32"), "has times of 2 models"),
        (BENCHNCNN, Told("p", "nope", "fp32"), "nope"),
        (BENCHNCNN, Told("p", "blocks", "fp32"), "'blocks' is several parts; expected one"),
        (TABLE, TOLD, "has operators, but no time"),
    ],
)
def test_what_is_unknown_or_contradicts_is_refused(text: Any, told: Told, says: str) -> None:
    with pytest.raises(InputError) as refused:
        _timings(text, told=told)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"hello\nworld\n", "has no times of a known tool; expected a whole file of etdump, "),
        (b"\xff\xfe\x00\x01" * 500, "has no times of a known tool"),
        (_result()[:-3], "has no times of a known tool"),
        (_result(f5=float("nan")), "the time 'nan' is not allowed"),
        (_result(-1.0), "the time '-1.0' is not allowed"),
        (_result(f2=5.0), "minimum, median and maximum must be ascending"),
        (BENCHMARK_MODEL.format(new="").replace("(avg): 1.3e+03", "(avg): inf"), "line 12: the time 'inf'"),
        (BENCHMARK_MODEL.format(new="").partition("Inference")[0], "has no line 'Inference timings in us'"),
        (PERF_TEST.replace("1.85739", "-1"), "line 6: the time '-1' is not allowed"),
        (PERF_TEST.replace("100", "1e3"), "the number of requests is '1e3'"),
        (PERF_TEST.replace("1.85739", "9" * 60), "the time '9999"),
        (_perf_lines(5).replace("net,0", "net,nan"), "has no times of a known tool"),
        (_perf_lines(5) + "net,nan,1,2,5\n", "line 6: the time 'nan'"),
        (_perf_lines(5) + "net,0.00", "is damaged; expected model,seconds,bytes,CPU %,number"),
        (EXECUTOR_RUNNER.replace("3.25", "-3"), "the time '-3"),
        (
            "".join(EXECUTOR_RUNNER.splitlines(keepends=True)[:2]).replace("of 4", "of 1"),
            "has one iteration, which is cold",
        ),
        ("".join(EXECUTOR_RUNNER.splitlines(keepends=True)[:3]), "ends after iteration 2 of 4"),
        (EXECUTOR_RUNNER.replace("Iteration 3", "Iteration 2"), "line 4: is iteration 2 and not 3"),
        (MNN_BASIC.replace("OpSum = 0.5", "OpSum = 1.0"), "the operators before it take 0.500 of 1.000 ms"),
        (
            BENCHMARK_MODEL.format(new="").replace("1,3,64,64", "1,3,96,64"),
            "is of an input of 3×96×64; expected that of the network, 3×64×64",
        ),
        (BENCHNCNN.replace("1.15", "1e99"), "line 6: the time '1e99'"),
        (MNN.replace("1.150", "\x1b[2J"), "the time '\\x1b[2J' is not allowed"),
        (BENCHNCNN * 1001, "has 1,001 runs; expected at most 1,000"),
    ],
)
def test_a_damaged_file_is_one_sentence_and_nothing_is_written(
    data: Any, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, output = tmp_path / "p.txt", tmp_path / "run.json"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    output.write_text("before", encoding="utf-8")
    assert run(["import", str(path), *NETWORK, "--threads", "2", "-o", str(output)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.removesuffix("\n").isprintable()
    assert says in err or says in err.replace(str(path), "file"), err
    assert output.read_text(encoding="utf-8") == "before"


@pytest.mark.parametrize("seed", range(10))
def test_whatever_is_in_a_file_there_are_runs_or_a_sentence(seed: int) -> None:
    """Also with the reader of another tool."""
    chance = random.Random(seed)
    for _ in range(60):
        example = chance.choice([*EXAMPLES.values(), TABLE, BENCHMARK_MODEL.format(new="") + TABLE])
        data = example.encode() if isinstance(example, str) else example
        kind = chance.choice([None, None, *EXAMPLES])
        try:
            found = readers.read(damaged_bytes(data, chance), "file", kind)
            timings = imported([File("file", tuple(found))], SMALL.graph, TOLD).timings
        except InputError as error:
            assert str(error)
            continue
        for timing in timings:
            assert timing.seconds is None or 0 < timing.seconds < 1e7
            assert timing.summary is None or timing.summary.median > 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: "07-29 10:00:00.000  1  1 I other   : nothing of interest here, = , min max\n" * 600_000,
        lambda: "x" * 20_000_000,
        lambda: "count=1 curr=2\n" * 1_000_000 + "Inference timings in us: Init: ",
        lambda: " " * 15_000_000 + "min = 1",
        lambda: "[node type]," + "[" * 1_000_000,
        lambda: "run 1 average cost 1 ms,\n" * 800_000,
    ],
)
def test_a_huge_file_takes_seconds(make: Callable[[], str]) -> None:
    text = make()
    begin = process_time()
    with pytest.raises(InputError):
        _read(text)
    assert process_time() - begin < 8


def test_a_file_above_the_limit_is_not_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "huge.txt"
    with path.open("wb") as file:
        file.truncate(MAX_RUN_BYTES + 1)
    assert run(["import", str(path), *NETWORK]) == 2
    assert "is too large; expected at most 50,000,000 bytes" in capsys.readouterr().err
    assert run(["import", str(tmp_path / "none"), *NETWORK]) == 2
    assert "cannot be read (No such file" in capsys.readouterr().err


def _saved(tmp_path: Path, name: str, *files: str | bytes, more: Any = ()) -> str:
    paths = []
    for n, data in enumerate(files):
        path = tmp_path / f"{name}{n}.txt"
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        paths.append(str(path))
    output = tmp_path / f"{name}.json"
    assert run(["import", *paths, *NETWORK, *more, "-o", str(output)]) == 0
    return str(output)


def test_a_run_without_samples_goes_everywhere_and_is_never_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = EXAMPLES["litert"]
    path = _saved(tmp_path, "a", text, CSV)
    out = capsys.readouterr().out
    assert "litert@phone  1.290 (median, 1.250 to 1.500)" in out
    assert "Errors are the largest" not in out  # nothing was compared
    saved = some(open_source(path).run)
    assert (saved.timings[0].reported[0].tool, saved.hosts["phone"].cpu) == ("benchmark_model", "")
    document = json.loads(Path(path).read_text(encoding="utf-8"))
    assert document["timings"][0]["summary"] is None
    for form in ("table", "csv", "md", "json"):
        assert run(["latency", path, "--format", form]) == 0
        assert "129" in capsys.readouterr().out.replace(".", "")
    assert run(["diff", path, path]) == 0
    out = capsys.readouterr().out
    assert "latency not comparable: the old one has no samples: its noise is not known" in out
    page = str(tmp_path / "a.html")
    assert run(["report", path, "-o", page]) == 0
    assert "1.29 ms" in Path(page).read_text(encoding="utf-8")
    assert run(["report", path, path, "--format", "md"]) == 0
    assert "| not comparable |" in capsys.readouterr().out
    assert run(["check", path, "--budget", "latency.litert@phone=2ms"]) == 0
    assert "below the limit of 2.000 ms, reported with no samples" in capsys.readouterr().out
    assert run(["check", path, "--budget", "latency.litert=1ms"]) == 1
    assert "(1ms), reported with no samples: its noise is not known" in capsys.readouterr().out
    assert run(["check", path, "--budget", "latency.litert=+5%", "--baseline", path]) == 1
    assert "not comparable: the old one has no samples" in capsys.readouterr().out


def test_blocks_without_samples_are_ordered_but_none_is_named_the_slowest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [*SMALL.graph.block_names, "net"]
    lines = "".join(
        f"{name:>20}.param  min = {n:7.2f}  max = {n + 1:7.2f}  avg = {n + 0.5:7.2f}\n"
        for n, name in enumerate(names, 1)
    )
    path = _saved(tmp_path, "blocks", BENCHNCNN.partition("  ")[0] + lines)
    out = capsys.readouterr().out
    assert "is not known: no block is named slowest" in out
    assert run(["latency", path, "--sort", "time", "--top", "3"]) == 0
    for form in ("md", "html"):
        assert run(["report", path, "--format", form, "-o", str(tmp_path / f"r.{form}")]) == 0
    text = (tmp_path / "r.md").read_text(encoding="utf-8")
    assert "Slowest:" not in text
    assert "fastest" not in text


def test_six_runs_with_samples_are_six_launches_and_can_be_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    how = ("--threads", "1")
    old = _saved(tmp_path, "old", *(_perf_lines(100, seed) for seed in range(6)), more=how)
    new = _saved(tmp_path, "new", *(_perf_lines(100, seed, 0.0025) for seed in range(6, 12)), more=how)
    one = _saved(tmp_path, "one", _perf_lines(100), more=how)
    assert "samples of 1 run, each one burst: import 6 runs together" in capsys.readouterr().out
    runs = [some(open_source(path).run) for path in (old, new, one)]
    change = compare(runs[0].timings[0], runs[1].timings[0], runs[0], runs[1])
    assert (change.verdict, round(some(change.ratio), 2)) == ("slower", 1.35)
    assert compare(runs[0].timings[0], runs[2].timings[0], runs[0], runs[2]).verdict == "unclear"
    assert run(["diff", old, new]) == 0
    assert "slower" in capsys.readouterr().out
    assert run(["check", new, "--budget", "latency.onnxruntime=+5%", "--baseline", old]) == 1


def test_the_output_of_a_device_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = {name: str(tmp_path / name) for name in ("x.bin", "e.bin", "n.onnx", "y.bin")}
    how = ["--input-file", names["x.bin"], "--expected-file", names["e.bin"], "-o", names["n.onnx"]]
    assert run(["export", "small", "--input", "64", *how]) == 0
    assert "x.bin" in capsys.readouterr().out
    import onnxruntime

    given = np.fromfile(names["x.bin"], "<f4").reshape(1, 3, 64, 64)
    (output,) = onnxruntime.InferenceSession(names["n.onnx"]).run(None, {"x": given})
    output.tofile(names["y.bin"])
    checked = ["--output-file", names["y.bin"], "--expected-file", names["e.bin"]]
    path = _saved(tmp_path, "ok", BENCHNCNN, more=checked)
    (timing,) = some(open_source(path).run).timings
    assert (timing.status, some(timing.rms_rel_err) < 1e-5) == ("ok", True)
    assert "were not compared" not in capsys.readouterr().out
    (output * 1.1).tofile(names["y.bin"])
    path = tmp_path / "ok0.txt"  # type: ignore[assignment]
    assert run(["import", str(path), *NETWORK, *checked]) == 1
    assert "mismatch" in capsys.readouterr().out
    for data, says in (
        (b"abc", "has 3 bytes; expected fp32 values"),
        (b"abcd", "has 1 fp32 values; expected 1,000, for net at batch 1"),
    ):
        Path(names["y.bin"]).write_bytes(data)
        assert run(["import", str(path), *NETWORK, *checked]) == 2
        assert says in capsys.readouterr().err
    output.ravel()[:250].tofile(names["y.bin"])
    Path(names["e.bin"]).write_bytes(Path(names["y.bin"]).read_bytes())
    assert run(["import", str(path), *NETWORK, *checked]) == 2
    assert "has 250 fp32 values; expected 1,000" in capsys.readouterr().err
    output.tofile(names["y.bin"])
    np.full_like(output, np.nan).tofile(names["e.bin"])
    assert run(["import", str(path), *NETWORK, *checked]) == 2
    assert "e.bin: has values that are not finite; expected PyTorch's output" in capsys.readouterr().err
    assert run(["import", str(path), *NETWORK, *checked[:2]]) == 2
    assert "one is missing; expected both" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "--network SOURCE is required"),
        (["--network", "small", "--device", "a b"], "--device: 'a b' is not allowed"),
        (["--network", "small", "--tool", "perf"], "--tool: 'perf' is not known"),
        (["--network", "small", "--threads", "0"], "--threads: 0 is not allowed"),
        (["--network", "small", "--tool", "mnn"], "has no times of MNN's benchmark.out"),
    ],
)
def test_wrong_options_of_import(
    options: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "p.txt"
    path.write_text(BENCHNCNN, encoding="utf-8")
    assert run(["import", str(path), *options]) == 2
    assert says in capsys.readouterr().err


def test_a_file_may_have_its_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a=b.txt").write_text(BENCHNCNN, encoding="utf-8")
    Path("c.txt").write_text(BENCHNCNN, encoding="utf-8")
    assert run(["import", "a=b.txt", "stem=c.txt", "head=c.txt", *NETWORK, "--format", "json"]) == 0
    timings = json.loads(capsys.readouterr().out)["timings"]
    assert [timing["part"] for timing in timings] == ["net", "stem", "head"]
