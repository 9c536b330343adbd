"""`python -m bench`: time fastnn against its peers and print ratios and fractions of the peak.

`python -m bench peers` compares networks with many more peers: see `report`. `python -m bench limits`
prints what the machine can do.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import tracemalloc

from .timing import HEADER, THREAD_VARIABLES, measure, row


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
    figures = measure(case, rounds)
    print(row(figures), flush=True)
    if case.memory:
        memory = {name: peak_memory(run) for name, run in case.contenders.items()}
        listed = ", ".join(f"{name} {megabytes(count)}" for name, count in memory.items())
        print(f"{'':<4}arrays of a run, its result included: {listed}", flush=True)
        figures["memory"] = memory
    return figures


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__.split("\n")[0],
        epilog="`python -m bench peers -h` tells of the comparison with PyTorch, JAX and others",
    )
    parser.add_argument("--only", default="", help="cases whose title contains this")
    parser.add_argument("--dtype", choices=("float32", "float64"), help="default: both")
    parser.add_argument("--isa", help="instruction set of fastnn; default: the best one")
    parser.add_argument("--threads", type=int, default=1, help="of all; default: 1")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    return parser.parse_args()


def main() -> int:
    if sys.argv[1:2] == ["peers"]:
        from . import report

        return report.main(sys.argv[2:])
    if sys.argv[1:2] == ["limits"]:
        from . import limits

        return limits.main()
    args = arguments()
    for name in THREAD_VARIABLES:  # read when NumPy is imported, which is why that comes later
        os.environ[name] = str(args.threads)
    if os.environ.get("OPENBLAS_CORETYPE"):
        print(
            "note: OPENBLAS_CORETYPE is set and may slow NumPy; unset it for a fair comparison",
            file=sys.stderr,
        )
    import fastnn

    from . import cases, estimators, models

    dtypes = (args.dtype,) if args.dtype else ("float32", "float64")
    fastnn.set_num_threads(args.threads)
    with fastnn.use_isa(args.isa or fastnn.available_isas()[0]):
        fastnn.show_config()
        print(f"\n{HEADER}")
        modules = (cases, models, estimators)
        every = itertools.chain.from_iterable(m.all_cases(dtypes) for m in modules)
        figures = [line(case, args.rounds) for case in every if args.only in case.title]
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(figures, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
