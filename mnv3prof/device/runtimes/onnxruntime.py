"""ONNX Runtime on the CPU."""

from __future__ import annotations

import json
import re
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from ..protocol import RuntimeOp
from . import Bind, Job, input_names

if TYPE_CHECKING:
    from . import Arrays, Call

WHAT = "ONNX Runtime, CPU provider"
DTYPES = ("fp32", "int8")
FORMAT = "onnx"
PACKAGE = "onnxruntime"
PEAK = "cpu"
IMPORTS = ("onnxruntime",)
ALIASES = ("ort",)


def load(job: Job) -> Bind:
    """Create a session from the exported part."""
    import onnxruntime

    session = onnxruntime.InferenceSession(job.model, options(job), providers=["CPUExecutionProvider"])

    def bind(given: Arrays) -> Call:
        feed = _feed(session, given)
        return lambda: session.run(None, feed)

    return bind


def _feed(session: Any, given: Arrays) -> dict[str, Any]:
    """Return the inputs by name, without those that the converter left out, which nothing reads."""
    known = {each.name for each in session.get_inputs()}
    return {name: each for name, each in zip(input_names(len(given)), given) if name in known}


def options(job: Job) -> Any:
    """Return a session's options, without spinning, which slows the next worker."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job.threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.log_severity_level = 3
    return options


def operators(job: Job, calls: int) -> tuple[RuntimeOp, ...]:
    """Return the median time of each node from the session's profile."""
    import onnxruntime

    with tempfile.TemporaryDirectory(prefix="mnv3prof-") as folder:
        settings = options(job)
        settings.enable_profiling = True
        settings.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(job.model, settings, providers=["CPUExecutionProvider"])
        feed = _feed(session, job.given)
        for _ in range(calls):
            session.run(None, feed)
        events = json.loads(Path(session.end_profiling()).read_bytes())
    times: dict[str, list[float]] = defaultdict(list)
    nodes = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            times[event["name"]].append(event["dur"] / 1e6)
            nodes[event["name"]] = event["args"]
    return tuple(_op(name, node, median(times[name])) for name, node in nodes.items())


def _op(name: str, node: dict[str, Any], seconds: float) -> RuntimeOp:
    shapes = [shape for output in node.get("output_type_shape", []) for shape in output.values()]
    name = re.sub("(_nchwc)?_kernel_time$", "", name)
    return RuntimeOp(name, node["op_name"], seconds, tuple(shapes[0][1:]) if shapes else None)
