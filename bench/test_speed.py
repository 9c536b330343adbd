"""The cases as pytest-benchmark groups: one group a case, one test a contender."""

import itertools

import pytest

from . import cases, estimators, models

PAIRS = [
    pytest.param(case, name, id=f"{case.title}-{name}".replace(" ", "_"))
    for case in itertools.chain.from_iterable(m.all_cases() for m in (cases, models, estimators))
    for name in case.names or case.contenders
]


@pytest.mark.parametrize(("case", "name"), PAIRS)
def test_speed(benchmark, case, name):
    case.verify()
    if name not in case.contenders:
        pytest.skip(f"{name} does not reach the result")
    benchmark.group = case.title
    benchmark(case.contenders[name])
