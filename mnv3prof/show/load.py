"""What is said of a machine that other programs kept busy while it was measured."""

from ..analysis.conditions import conditions
from ..analysis.load import Load, clock_of, load_of
from ..record.run import HERE, Run
from ..render.sheet import Sheet, join_words


def busy_note(run: Run, *, with_times: bool = True) -> str:
    """Say which machines were busy, how much, and what to do; "" if none was. with_times: beside a table of
    all times.
    """
    loads = {device: load_of(run, device) for device in dict.fromkeys(t.target.device for t in run.timings)}
    told = [_told(device, load) for device, load in loads.items() if load.busy]
    if not told:
        return ""
    timed = [timing for timing in run.timings if timing.summary and timing.seconds is not None]
    noisy = sum(timing.noisy for timing in timed)
    times = f"{len(timed)} time{'s' * (len(timed) != 1)}"
    sentence = f"{noisy} of {times} {'is' if noisy == 1 or len(timed) == 1 else 'are'} noisy"
    if with_times and any(clock_of(timing, run) == "CPU" for timing in timed):
        sentence += ", and CPU time per call is shown beside wall time"
    return f"{' '.join(told)} {sentence[0].upper()}{sentence[1:]}. Close other programs and measure again."


def busy_sheets(run: Run | None, which: str = "", *, with_times: bool = True) -> tuple[Sheet, ...]:
    """Return busy_note() and conditions of devices as sheets, to be shown above all tables; none without any.

    which: the run, where there are several. with_times: as of busy_note().
    """
    if run is None:
        return ()
    devices = dict.fromkeys(timing.target.device for timing in run.timings if timing.target.device != HERE)
    found = {
        "Busy machine": tuple(filter(None, (busy_note(run, with_times=with_times),))),
        "State of devices": tuple(each for device in devices for each in conditions(run, device)),
    }
    return tuple(
        Sheet(f"{title}, {which}" if which else title, (), (), notes=notes)
        for title, notes in found.items()
        if notes
    )


def _told(device: str, load: Load) -> str:
    parts = []
    if load.starved:
        parts.append(f"the timed processes got {load.share:.0%} of a CPU")
    if load.shared:
        parts.append(f"other processes used {load.other_cpus:.1f} of {load.cpus} CPUs")
    if not parts and load.slowed:
        parts.append("its CPUs were slower at times: other virtual machines, or a lower clock rate")
    if not parts:
        parts.append("other processes took CPUs from the timed ones")
    return f"{'The machine' if device == HERE else device} was busy: {join_words(parts)}."
