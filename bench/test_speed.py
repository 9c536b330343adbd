"""The cases as pytest-benchmark groups: one group a case, one test a contender."""

import pytest

from . import cases

PAIRS = [
    pytest.param(case, name, id=f"{case.title}-{name}".replace(" ", "_"))
    for case in cases.all_cases()
    for name in case.contenders
]


@pytest.mark.parametrize(("case", "name"), PAIRS)
def test_speed(benchmark, case, name):
    case.verify()
    benchmark.group = case.title
    benchmark(case.contenders[name])
