"""Fit the polynomials of the elementwise functions and write ../kernels/coefficients.h.

    python csrc/fit/polynomials.py            print the report and the header
    python csrc/fit/polynomials.py --write    write the header
    python csrc/fit/polynomials.py --check    fail if the header on disk is not what this makes

Two kernels serve exp, sigmoid, tanh and log1p:

    expm1(r)   = r + r^2 P(r)                              |r| <= ln(2)/2
    log1p(f)   = f - (f^2/2 - s (f^2/2 + z L(z)))          sqrt(1/2) <= 1 + f <= sqrt(2),
                                                           s = f / (2 + f), z = s^2

P and L minimise the largest *relative* error of expm1 and log1p. For exp that is more than enough, since
expm1(r) <= 0.42 exp(r) in magnitude; for tanh and for log1p near zero it is what is needed.

Method: Remez exchange on a dense Chebyshev grid, in 60 digits. The coefficients are then rounded to the working
precision one by one, from the lowest order up, and the ones that remain are fitted again after each rounding, so
that they absorb its error. Needs mpmath; takes about 20 seconds.
"""

import argparse
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mpmath import mp, mpf

HEADER = Path(__file__).resolve().parents[1] / "kernels" / "coefficients.h"

mp.dps = 60
FIT_POINTS = (
    1200  # even, so that zero is never a point; the true maximum is within 2e-4 of the grid's
)
CHECK_POINTS = 10000
TOLERANCE = mpf("1e-9")  # relative, of the levelled error when the exchange stops


@dataclass(frozen=True)
class Dtype:
    """A working precision; n_max is the largest |n| for which n * LN2_HI has to be exact."""

    name: str
    ctype: str
    bits: int
    n_max: int
    suffix: str
    hex_digits: int
    decimal: str

    @property
    def eps(self):
        return mpf(2) ** (1 - self.bits)


F32 = Dtype("f32", "float", bits=24, n_max=160, suffix="f", hex_digits=6, decimal=".9g")
F64 = Dtype("f64", "double", bits=53, n_max=1100, suffix="", hex_digits=13, decimal=".17g")


@dataclass(frozen=True)
class Kernel:
    """Fit a polynomial to target(x) on [lo, hi]; weight(x) >= 0 turns its error into the error that matters."""

    name: str
    formula: str
    target: callable
    weight: callable
    lo: mpf
    hi: mpf


def log1p_over_s(z):
    """log1p(f) / s = 2 atanh(s) / s, as a function of z = s^2."""
    s = mp.sqrt(z)
    return 2 * mp.atanh(s) / s


# Both intervals are wider than ln(2)/2 = 0.346574 and (3 - sqrt(8))^2 = 0.029437, for the rounding of r and z.
EXPM1 = Kernel(
    name="expm1",
    formula="expm1(r) = r + r^2 (c0 + c1 r + ...), |r| <= 0.34658",
    target=lambda r: (mp.expm1(r) - r) / r**2,
    weight=lambda r: abs(r**2 / mp.expm1(r)),
    lo=mpf("-0.34658"),
    hi=mpf("0.34658"),
)
LOG1P = Kernel(
    name="log1p",
    formula="log1p(f) = 2 s + s z (c0 + c1 z + ...), s = f / (2 + f), z = s^2 <= 0.02946",
    target=lambda z: (log1p_over_s(z) - 2) / z,
    weight=lambda z: z / log1p_over_s(z),
    lo=mpf(0),
    hi=mpf("0.02946"),
)

# What the report compares, and what the header gets.
CANDIDATES = {
    (EXPM1, F32): (4, 5, 6),
    (EXPM1, F64): (10, 11, 12),
    (LOG1P, F32): (3, 4),
    (LOG1P, F64): (6, 7, 8),
}
CHOSEN = {(EXPM1, F32): 5, (EXPM1, F64): 11, (LOG1P, F32): 4, (LOG1P, F64): 7}


@cache
def sampled(kernel, points):
    """Chebyshev nodes of the kernel's interval, with the target and the weight at each."""
    middle, radius = (kernel.lo + kernel.hi) / 2, (kernel.hi - kernel.lo) / 2
    nodes = [middle - radius * mp.cospi((i + mpf(0.5)) / points) for i in range(points)]
    return nodes, [kernel.target(x) for x in nodes], [kernel.weight(x) for x in nodes]


def horner(coefficients, x):
    total = mpf(0)
    for c in reversed(coefficients):
        total = total * x + c
    return total


def remez(kernel, terms, fixed=()):
    """The best `terms` coefficients, given that the first are `fixed`: a list that starts with those.

    With k of them fixed, what is left is x^k times a polynomial with terms - k coefficients; its best error
    takes its extreme value terms - k + 1 times with alternating signs, where signs count relative to x^k.
    """
    nodes, target, weight = sampled(kernel, FIT_POINTS)
    k, free = len(fixed), terms - len(fixed)
    residual = [t - horner(fixed, x) for x, t in zip(nodes, target)]
    scale = [w if x > 0 else w * (-1) ** k for x, w in zip(nodes, weight)]
    reference = [round(i * (FIT_POINTS - 1) / free) for i in range(free + 1)]
    for _ in range(50):
        matrix, rhs = mp.matrix(free + 1), mp.matrix(free + 1, 1)
        for row, i in enumerate(reference):
            for column in range(free):
                matrix[row, column] = nodes[i] ** (k + column)
            matrix[row, free] = (-1) ** row / scale[i]
            rhs[row] = residual[i]
        *tail, level = mp.lu_solve(matrix, rhs)
        error = [s * (y - x**k * horner(tail, x)) for x, y, s in zip(nodes, residual, scale)]
        reference = alternating_extrema(error, abs(level) * (1 - TOLERANCE), free + 1)
        if max(map(abs, error)) <= abs(level) * (1 + TOLERANCE):
            return [*fixed, *tail]
    raise ArithmeticError(f"{kernel.name}, {terms} terms: the exchange does not converge")


def alternating_extrema(error, floor, count):
    """Indices of `count` points where the error is extreme, at least `floor`, and alternates in sign.

    The largest error is among them. The points of the last reference all pass the floor, so there are enough.
    """
    extrema = []
    for i, e in enumerate(error):
        if abs(e) < floor:
            continue
        if extrema and (e > 0) == (error[extrema[-1]] > 0):
            if abs(e) > abs(error[extrema[-1]]):
                extrema[-1] = i
        else:
            extrema.append(i)
    while len(extrema) > count:
        extrema.pop(0 if abs(error[extrema[0]]) < abs(error[extrema[-1]]) else -1)
    return extrema


def round_to(x, bits):
    """x rounded to nearest with `bits` significant bits."""
    with mp.workprec(bits):
        return +x


def rounded_remez(kernel, terms, dtype, fixed=()):
    """Coefficients of the working precision: round the first free one, fit those after it again, and so on."""
    fixed = list(fixed)
    while len(fixed) < terms:
        fixed.append(round_to(remez(kernel, terms, fixed)[len(fixed)], dtype.bits))
    return fixed


def max_error(kernel, coefficients):
    """Largest weighted error on a grid much denser than the one of the fit."""
    return max(
        w * abs(t - horner(coefficients, x)) for x, t, w in zip(*sampled(kernel, CHECK_POINTS))
    )


@cache
def fit(kernel, dtype, terms):
    """Rounded coefficients, and the errors before and after the rounding in units of the dtype's eps."""
    coefficients = rounded_remez(kernel, terms, dtype)
    before = max_error(kernel, remez(kernel, terms)) / dtype.eps
    return coefficients, before, max_error(kernel, coefficients) / dtype.eps


def report():
    """One line per candidate; * marks the one in the header."""
    lines = ["kernel  dtype  terms    minimax error            after rounding"]
    for (kernel, dtype), counts in CANDIDATES.items():
        for terms in counts:
            _, before, after = fit(kernel, dtype, terms)
            mark = "*" if terms == CHOSEN[kernel, dtype] else " "
            power = mp.nstr(mp.log(before * dtype.eps, 2), 4)
            lines.append(
                f"{kernel.name:7} {dtype.name:6} {terms:4} {mark} {mp.nstr(before, 3):>10} eps = 2^{power:7}"
                f"{mp.nstr(after, 3):>10} eps"
            )
    # The expm1 series starts with 1/2, which is exact: does fixing it cost anything?
    for dtype in (F32, F64):
        pinned = rounded_remez(EXPM1, CHOSEN[EXPM1, dtype], dtype, fixed=[mpf(0.5)])
        error = mp.nstr(max_error(EXPM1, pinned) / dtype.eps, 3)
        lines.append(f"expm1 {dtype.name} with c0 fixed at 1/2: {error} eps after rounding")
    return "\n".join(lines)


def literal(x, dtype):
    """A C hexadecimal literal, and the value in decimal."""
    mantissa, exponent = float(x).hex().split("p")
    kept = mantissa.index(".") + 1 + dtype.hex_digits
    assert not mantissa[kept:].strip("0"), f"{x} is not a {dtype.ctype}"
    return f"{mantissa[:kept]}p{exponent}{dtype.suffix}", format(float(x), dtype.decimal)


def reduction_constants(dtype):
    """1/ln(2), and ln(2) as a sum: hi ends in enough zeros for n * hi to be exact, lo is the rest, rounded."""
    hi = round_to(mp.ln2, dtype.bits - dtype.n_max.bit_length())
    return {
        "log2e": round_to(1 / mp.ln2, dtype.bits),
        "ln2_hi": hi,
        "ln2_lo": round_to(mp.ln2 - hi, dtype.bits),
    }


def header():
    """The text of coefficients.h."""
    lines = [
        "/* Coefficients of the elementwise functions, made by `python csrc/fit/polynomials.py --write`.",
        " *",
        " * Errors are relative to the function, with exact arithmetic, in units of eps (2^-23 and 2^-52):",
        " * of the best polynomial, then of the one below, whose coefficients are rounded. Lowest order first. */",
        "#ifndef FNN_COEFFICIENTS_H",
        "#define FNN_COEFFICIENTS_H",
    ]
    for kernel in (EXPM1, LOG1P):
        lines += ["", f"/* {kernel.formula}. */"]
        for dtype in (F32, F64):
            terms = CHOSEN[kernel, dtype]
            coefficients, before, after = fit(kernel, dtype, terms)
            macro = f"FNN_{kernel.name.upper()}_TERMS_{dtype.name}"
            lines += [
                f"#define {macro} {terms}",
                f"/* Error: {mp.nstr(before, 2)} eps, rounded {mp.nstr(after, 2)} eps. */",
                f"static const {dtype.ctype} {kernel.name}_{dtype.name}[{macro}] = {{",
                *("    {}, /* {} */".format(*literal(c, dtype)) for c in coefficients),
                "};",
            ]
    lines += [
        "",
        "/* exp(x) = 2^n exp(r), n = round(x log2e), r = (x - n ln2_hi) - n ln2_lo, where n ln2_hi is exact for",
        f" * |n| <= {F32.n_max} (f32) and {F64.n_max} (f64). */",
    ]
    for dtype in (F32, F64):
        for name, value in reduction_constants(dtype).items():
            code, decimal = literal(value, dtype)
            lines.append(
                f"static const {dtype.ctype} {name}_{dtype.name} = {code}; /* {decimal} */"
            )
    lines += ["", "#endif", ""]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(
        description="Fit the polynomials of the elementwise functions."
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--write", action="store_true", help="write csrc/kernels/coefficients.h")
    mode.add_argument("--check", action="store_true", help="fail if that file is not up to date")
    args = parser.parse_args()
    text = header()
    if args.check:
        if not HEADER.exists() or HEADER.read_text(encoding="ascii") != text:
            sys.exit(f"{HEADER} is not up to date: run {Path(__file__).name} --write")
    elif args.write:
        HEADER.write_text(text, encoding="ascii", newline="\n")
    else:
        print(report(), text, sep="\n\n", end="")


if __name__ == "__main__":
    main()
