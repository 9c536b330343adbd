"""`python -m bench peers`: fastnn against NumPy, PyTorch, JAX, ONNX Runtime and scikit-learn.

All in one process, each with N threads, in turn and round after round.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
from typing import Any

from .timing import HEADER, THREAD_VARIABLES, measure, readable, row

GROUPS = ("one", "forward", "public", "step", "epoch", "gaussian", "logistic")
PACKAGES = ("fastnn", "numpy", "scipy", "scikit-learn", "torch", "jax", "onnxruntime")
SLOWING_VARIABLES = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
EPOCH_ROUNDS = 3
PAUSE, PAUSE_OF_THREADS = 0.003, 0.02  # more than a tick, by which the CPU time of others lags


def arguments(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench peers", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of each; default: 1")
    parser.add_argument("--only", choices=GROUPS, help="this group")
    parser.add_argument("--case", default="", help="cases whose title contains this")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--isa", help="instruction set of fastnn; default: the best one")
    parser.add_argument("--rounds", type=int, default=15, help=f"epochs: {EPOCH_ROUNDS} at most")
    parser.add_argument("--slow", action="store_true", help="epochs of scikit-learn, too")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    parser.add_argument("--chart", metavar="FILE.png", help="draw the ratios there")
    return parser.parse_args(given)


def set_environment(threads: int) -> None:
    """What the libraries read when they are imported, which is why that comes later."""
    for name in SLOWING_VARIABLES:
        if os.environ.pop(name, None):
            print(f"{name} is unset for this run: it can choose slower kernels for NumPy")
    for name in THREAD_VARIABLES:
        os.environ[name] = str(threads)
    os.environ["JAX_PLATFORMS"] = "cpu"


def groups(field: Any, slow: bool) -> Iterator[tuple[str, Any]]:
    """Every case, after the group that its ratio counts in."""
    from . import models
    from .peers import cases

    for case in cases.all_cases(field, slow):
        yield case.group, case
    for case in models.all_cases((field.dtype,)):
        yield "logistic" if case.group == "logistic" else "gaussian", case


def line(group: str, case: Any, args: argparse.Namespace) -> dict | None:
    """Measure one case; print its figures."""
    if len(case.contenders) < 2:
        print(f"{case.title} is skipped: no peer")
        return None
    rounds = min(args.rounds, EPOCH_ROUNDS) if group == "epoch" else args.rounds
    pause = PAUSE if args.threads == 1 else PAUSE_OF_THREADS
    figures = {"group": group, **measure(case, rounds, pause, args.threads)}
    print(row(figures))
    others = itertools.islice(figures["median_seconds"].items(), 1, None)
    listed = ", ".join(f"{name} {readable(seconds)}" for name, seconds in others)
    print(f"{'':<4}{listed}", flush=True)
    return figures


def by_group(figures: list[dict]) -> dict[str, list[dict]]:
    """The cases of each group, in the order of their first ones."""
    found: dict[str, list[dict]] = {}
    for case in figures:
        found.setdefault(case["group"], []).append(case)
    return found


def summary(figures: list[dict]) -> dict[str, dict]:
    """Of each group the geometric mean of the ratios, and how many are below 1; print them."""
    print(f"\n{'':<20}{'cases':>8}{'mean ratio':>12}{'below 1':>10}")
    found = {}
    for group, cases in by_group(figures).items():
        ratios = [case["ratio"] for case in cases]
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        below = sum(ratio < 1 for ratio in ratios)
        print(f"{group:<20}{len(ratios):>8}{mean:>12.2f}{below:>10}")
        found[group] = {"cases": len(ratios), "mean_ratio": mean, "below_1": below}
    return found


def chart(figures: list[dict], path: str, title: str) -> None:
    """A bar for the ratio of each case, from 1 to the right where fastnn is faster."""
    from matplotlib.figure import Figure

    figure = Figure((9, 1.5 + 0.25 * len(figures)), layout="constrained")
    axes = figure.subplots()
    for group, cases in by_group(figures).items():
        names = [f"{case['case']} ({case['best_peer']})" for case in cases]
        ratios = [case["ratio"] for case in cases]
        bars = axes.barh(names, [ratio - 1 for ratio in ratios], left=1, label=group)
        axes.bar_label(bars, [f"{ratio:.2f}" for ratio in ratios], padding=3)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.margins(x=0.2, y=0.01)
    axes.set(xlabel="time of the best peer / time of fastnn", title=title)
    axes.axvline(1, color="black", linewidth=1)
    axes.invert_yaxis()
    figure.legend(loc="outside lower center", ncols=4)
    figure.savefig(path, dpi=150)


def versions() -> dict[str, str]:
    """Of what is installed, and the kernels that NumPy's BLAS has chosen."""
    found = {}
    for package in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    with suppress(ImportError):
        from threadpoolctl import threadpool_info

        blas = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
        found |= {pool["internal_api"]: pool.get("architecture", "") for pool in blas}
    return found


def main(given: list[str]) -> int:
    args = arguments(given)
    load = os.getloadavg()[0]
    if load + args.threads > (os.cpu_count() or 1) + 0.5:
        print(f"note: the machine is busy, with a load of {load:.1f}; ratios will mislead")
    set_environment(args.threads)
    import fastnn

    from .peers.cases import Field

    with fastnn.use_isa(args.isa or fastnn.available_isas()[0]):
        setting = {"threads": args.threads, "dtype": args.dtype, "isa": fastnn.isa()}
        setting |= versions()
        print(", ".join(f"{name} {value}" for name, value in setting.items()))
        field = Field.enter(args.dtype, args.threads)
        print(f"\n{HEADER}")
        figures = [
            line(group, case, args)
            for group, case in groups(field, args.slow)
            if group.startswith(args.only or "") and args.case in case.title
        ]
    figures = [case for case in figures if case is not None]
    means = summary(figures)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump({"setting": setting, "groups": means, "cases": figures}, file, indent=1)
    if args.chart:
        chart(figures, args.chart, f"{setting['isa']}, threads: {args.threads}")
    return 0
