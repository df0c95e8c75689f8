"""Time per operator from LiteRT's profiler, which only the C API provides."""

from __future__ import annotations

import ctypes
from ctypes import byref, c_char_p, c_int, c_size_t, c_uint64, c_void_p
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from typing import Sequence

    from numpy.typing import NDArray

_CPU = 1
_WRITE = 1
_OPERATORS = frozenset({1 << 1, 1 << 3})
"""Kinds of events that are operators: of the interpreter, and of a delegate."""
_TYPE_BYTES = 512
"""Larger than the struct of a tensor's type in any version of LiteRT."""


class _Memory(ctypes.Structure):
    _fields_ = (("total", c_size_t), ("in_use", c_size_t), ("private", c_size_t))


class _Event(ctypes.Structure):
    _fields_ = (
        ("tag", c_char_p),
        ("kind", c_int),
        ("start_us", c_uint64),
        ("elapsed_us", c_uint64),
        ("before", _Memory),
        ("after", _Memory),
        ("metadata1", c_uint64),
        ("metadata2", c_uint64),
        ("source", c_int),
    )


_KEEP = ctypes.CFUNCTYPE(None, c_void_p)(lambda payload: None)
"""A deleter that frees nothing, since Python owns the texts."""


def operator_times(
    file: Path, given: Sequence[NDArray[Any]], threads: int, calls: int
) -> list[tuple[str, float]]:
    """Return (operator, mean seconds over the calls) in execution order. given: in the file's order.

    Raises RuntimeError if a call of the library fails. The objects of the library are never freed.
    """
    model = _Model(file, given, threads)
    model.run()
    runs = [model.profiled_run() for _ in range(calls)]
    return [
        (name, sum(run[place][1] for run in runs) / calls / 1e6) for place, (name, _) in enumerate(runs[0])
    ]


class _Model:
    """A compiled model with its buffers and its profiler."""

    def __init__(self, file: Path, given: Sequence[NDArray[Any]], threads: int) -> None:
        import ai_edge_litert

        (folder,) = ai_edge_litert.__path__
        self._library = ctypes.CDLL(str(Path(folder) / "libLiteRt.so"))
        self._texts = [f"num_threads = {threads}\n".encode(), b"enable_profiling = true\n"]
        self._environment = self._handle("CreateEnvironment", 0, None)
        self._model = self._handle("CreateModelFromFile", self._environment, str(file).encode())
        options = self._options()
        self._compiled = self._handle("CreateCompiledModel", self._environment, self._model, options)
        self._graph = self._main_graph()
        self._sources, self._targets = self._buffers("Input"), self._buffers("Output")
        for source, values in zip(self._sources, given):
            self._fill(source, values)
        self._profiler = self._handle("CompiledModelGetProfiler", self._compiled)

    def run(self) -> None:
        ends = []
        for buffers in (self._sources, self._targets):
            ends += [c_size_t(len(buffers)), (c_void_p * len(buffers))(*buffers)]
        self._call("RunCompiledModel", self._compiled, c_size_t(0), *ends)

    def profiled_run(self) -> list[tuple[str, int]]:
        """Run once and return (operator, microseconds)."""
        self._call("ResetProfiler", self._profiler)
        self._call("StartProfiler", self._profiler)
        self.run()
        self._call("StopProfiler", self._profiler)
        count = c_int()
        self._call("GetNumProfilerEvents", self._profiler, byref(count))
        events = (_Event * count.value)()
        self._call("GetProfilerEvents", self._profiler, count, events)
        return [(event.tag.decode(), event.elapsed_us) for event in events if event.kind in _OPERATORS]

    def _call(self, name: str, *arguments: Any) -> None:
        call: Callable[..., int] = getattr(self._library, f"LiteRt{name}")
        if status := call(*arguments):
            raise RuntimeError(f"LiteRT's {name} gave status {status}")

    def _handle(self, name: str, *arguments: Any) -> c_void_p:
        """Call the library and return the handle that it writes to its last argument."""
        handle = c_void_p()
        self._call(name, *arguments, byref(handle))
        return handle

    def _options(self) -> c_void_p:
        options = self._handle("CreateOptions")
        self._call("SetOptionsHardwareAccelerators", options, _CPU)
        for name, text in zip((b"xnnpack", b"runtime_options_string"), self._texts):
            opaque = self._handle("CreateOpaqueOptions", name, text, _KEEP)
            self._call("AddOpaqueOptions", options, opaque)
        return options

    def _main_graph(self) -> c_void_p:
        index = c_size_t()
        self._call("GetMainModelSubgraphIndex", self._model, byref(index))
        return self._handle("GetModelSubgraph", self._model, index)

    def _buffers(self, which: str) -> list[c_void_p]:
        """Return a buffer for each of the model's inputs or outputs."""
        count = c_size_t()
        self._call(f"GetNumSubgraph{which}s", self._graph, byref(count))
        return [self._buffer(which, c_size_t(n)) for n in range(count.value)]

    def _buffer(self, which: str, place: c_size_t) -> c_void_p:
        tensor = self._handle(f"GetSubgraph{which}", self._graph, place)
        kind = ctypes.create_string_buffer(_TYPE_BYTES)
        self._call("GetRankedTensorType", tensor, kind)
        main = c_size_t(0)
        needs = self._handle(f"GetCompiledModel{which}BufferRequirements", self._compiled, main, place)
        return self._handle("CreateManagedTensorBufferFromRequirements", self._environment, kind, needs)

    def _fill(self, buffer: c_void_p, given: NDArray[Any]) -> None:
        place = c_void_p()
        self._call("LockTensorBuffer", buffer, byref(place), _WRITE)
        ctypes.memmove(place, given.ctypes.data, given.nbytes)
        self._call("UnlockTensorBuffer", buffer)
