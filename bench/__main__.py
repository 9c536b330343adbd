"""`python -m bench`: time fastnn against its peers and print ratios and fractions of the peak.

The contenders of a case run in turn, round after round, so that a busy moment of the machine hits
all of them. The peak is measured in the same rounds, by fused multiply-adds in registers. Ratios and
fractions are those of medians.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tracemalloc
from time import perf_counter

THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
ROUND_SECONDS = 0.003


def timed(run, count: int) -> float:
    """Seconds for one of `count` runs."""
    begin = perf_counter()
    for _ in range(count):
        run()
    return (perf_counter() - begin) / count


def rounds_of(case, rounds: int) -> tuple[dict[str, list[float]], list[float]]:
    """Times of each contender, and the peak in flop/s, in each round."""
    from fastnn import runtime

    runs = case.contenders
    counts = {name: max(1, int(ROUND_SECONDS / timed(run, 1))) for name, run in runs.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    peaks: list[float] = []
    for _ in range(rounds):
        for name, run in runs.items():
            times[name].append(timed(run, counts[name]))
        peaks.append(runtime.measure_peak(case.dtype))
    return times, peaks


def median(values: list[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return (ordered[middle] + ordered[~middle]) / 2


def readable(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if seconds * scale >= 1 or unit == "us":
            return f"{seconds * scale:.2f} {unit}"
    raise AssertionError


def peak_memory(run) -> int:
    """Bytes that one run has allocated through NumPy and Python at most, its result included."""
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


def line(case, rounds: int) -> dict:
    """Measure one case; print its line."""
    case.verify()
    times, peaks = rounds_of(case, rounds)
    peak = median(peaks)
    middle = {name: median(t) for name, t in times.items()}
    ours, *peers = middle
    best = min(peers, key=middle.get)
    ratio = middle[best] / middle[ours]
    fraction = case.flops / middle[ours] / peak if case.flops and peak else None
    of_peak = "-" if fraction is None else f"{fraction:.1%}"
    print(
        f"{case.title:<52}{readable(middle[ours]):>12}{readable(middle[best]):>12} {best:<15}"
        f"{ratio:>6.2f}{of_peak:>9}",
        flush=True,
    )
    figures = {"case": case.title, "median_seconds": middle, "ratio": ratio}
    if case.memory:
        memory = {name: peak_memory(run) for name, run in case.contenders.items()}
        listed = ", ".join(f"{name} {megabytes(count)}" for name, count in memory.items())
        print(f"{'':<4}arrays of a run, its result included: {listed}", flush=True)
        figures["memory"] = memory
    return {**figures, "peak_fraction": fraction}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help="cases whose title contains this")
    parser.add_argument("--dtype", choices=("float32", "float64"), help="default: both")
    parser.add_argument("--isa", help="instruction set of fastnn; default: the best one")
    parser.add_argument("--threads", type=int, default=1, help="of the peers; fastnn uses one")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    return parser.parse_args()


def main() -> int:
    args = arguments()
    for name in THREAD_VARIABLES:  # read when NumPy is imported, which is why that comes later
        os.environ[name] = str(args.threads)
    if os.environ.get("OPENBLAS_CORETYPE"):
        print(
            "note: OPENBLAS_CORETYPE is set and may slow NumPy; unset it for a fair comparison",
            file=sys.stderr,
        )
    import fastnn

    from . import cases, models

    dtypes = (args.dtype,) if args.dtype else ("float32", "float64")
    with fastnn.use_isa(args.isa or fastnn.available_isas()[0]):
        fastnn.show_config()
        print(f"\n{'':<52}{'fastnn':>12}{'best peer':>12} {'':<15}{'ratio':>6}{'of peak':>9}")
        every = itertools.chain(cases.all_cases(dtypes), models.all_cases(dtypes))
        figures = [line(case, args.rounds) for case in every if args.only in case.title]
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(figures, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
