"""`python -m bench limits`: what the machine can do, for comparison with what is reached.

The peak is that of fused multiply-adds in registers. Memory is read by fastnn's search for infinities,
which does little else.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import numpy as np

import fastnn
from fastnn import runtime

SIZES_KIB = (16, 256, 1024, 4096, 32768, 262144)
ROUNDS = 15


def peak(dtype: str, threads: int) -> float:
    """flop/s of so many threads at once, a core each if there are as many."""
    with ThreadPoolExecutor(threads) as pool:
        found = pool.map(lambda _: runtime.measure_peak(dtype, 0.05), range(threads))
        return sum(found)


def bandwidth(kib: int) -> float:
    """Bytes a second of one thread that reads the same memory again and again."""
    x = np.ones(kib * 256, np.float32)
    runs, best = max(1, 4096 // kib), np.inf
    for _ in range(ROUNDS):
        begin = perf_counter()
        for _ in range(runs):
            runtime.backend_module.all_finite(x)
        best = min(best, (perf_counter() - begin) / runs)
    return x.nbytes / best


def main() -> int:
    fastnn.show_config()
    for isa in fastnn.available_isas()[:-1]:
        with fastnn.use_isa(isa):
            for dtype in ("float32", "float64"):
                one, two = peak(dtype, 1), peak(dtype, 2)
                print(f"{isa} {dtype}: {one / 1e9:.0f} Gflop/s, two threads {two / 1e9:.0f}")
    for kib in SIZES_KIB:
        print(f"reading {kib} KiB: {bandwidth(kib) / 1e9:.0f} GB/s")
    return 0
