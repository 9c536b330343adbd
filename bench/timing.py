"""How both commands measure a case: contenders in turn, round after round, and their medians.

A busy moment of the machine hits all contenders so. The peak is measured in the same rounds, by
fused multiply-adds in registers. Nothing here imports NumPy: its threads are to be set before that.
"""

from __future__ import annotations

from time import perf_counter, process_time, sleep

THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
ROUND_SECONDS = 0.003
LONG_SECONDS = 0.1  # a run this long needs no other one to warm it
WARM_SECONDS = (
    0.01  # threads that sleep, and a virtual machine's CPU that does, take a while to wake
)
HEADER = f"{'':<56}{'fastnn':>12}{'best peer':>12} {'':<16}{'ratio':>6}{'of peak':>9}"


def timed(run, count: int) -> float:
    """Seconds for one of `count` runs."""
    begin = perf_counter()
    for _ in range(count):
        run()
    return (perf_counter() - begin) / count


def settle(pause: float) -> None:
    """Wait until the threads of the last contender sleep; OpenBLAS's spin for some 0.1 s."""
    for _ in range(100):
        begin, busy = perf_counter(), process_time()
        sleep(pause)
        if process_time() - busy < 0.3 * (perf_counter() - begin):
            return


def warm(run) -> None:
    end = perf_counter() + WARM_SECONDS
    while perf_counter() < end:
        run()


def rounds_of(case, rounds: int, pause: float) -> tuple[dict[str, list[float]], list[float]]:
    """Times of each contender, and the peak in flop/s of a core, in each round.

    With a pause, each contender waits for the last one's threads and then warms its own.
    """
    from fastnn import runtime

    runs = case.contenders
    once = {name: timed(run, 1) for name, run in runs.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    peaks: list[float] = []
    for _ in range(rounds):
        for name, run in runs.items():
            if pause:
                settle(pause)
                if once[name] < LONG_SECONDS:
                    warm(run)
            times[name].append(timed(run, max(1, int(ROUND_SECONDS / once[name]))))
        peaks.append(runtime.measure_peak(case.dtype))
    return times, peaks


def median(values: list[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return (ordered[middle] + ordered[~middle]) / 2


def measure(case, rounds: int, pause: float = 0.0, threads: int = 1) -> dict:
    """The figures of a case: times are those of one of its steps, ratio and fraction of medians."""
    case.verify()
    times, peaks = rounds_of(case, rounds, pause)
    peak = median(peaks) * threads
    middle = {name: median(t) / case.steps for name, t in times.items()}
    ours, *peers = middle
    best = min(peers, key=middle.get)
    return {
        "case": case.title,
        "median_seconds": middle,
        "minimum_seconds": {name: min(t) / case.steps for name, t in times.items()},
        "best_peer": best,
        "ratio": middle[best] / middle[ours],
        "peak_fraction": case.flops / middle[ours] / peak if case.flops and peak else None,
    }


def readable(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if seconds * scale >= 1 or unit == "us":
            return f"{seconds * scale:.2f} {unit}"
    raise AssertionError


def row(figures: dict) -> str:
    """The line of a case below HEADER."""
    ours, *_ = middle = figures["median_seconds"]
    best, fraction = figures["best_peer"], figures["peak_fraction"]
    of_peak = "-" if fraction is None else f"{fraction:.1%}"
    return (
        f"{figures['case']:<56}{readable(middle[ours]):>12}{readable(middle[best]):>12} {best:<16}"
        f"{figures['ratio']:>6.2f}{of_peak:>9}"
    )
