"""The directive `peer-interface`: what scikit-learn's estimators have and fastnn's have not, and vice
versa, found by looking at both when the documentation is built.
"""

import importlib
import inspect
import warnings

import numpy as np
from sphinx.util.docutils import SphinxDirective

import fastnn

MODULES = {
    "MLPClassifier": "neural_network",
    "MLPRegressor": "neural_network",
    "LogisticRegression": "linear_model",
    "Ridge": "linear_model",
    "LinearDiscriminantAnalysis": "discriminant_analysis",
    "QuadraticDiscriminantAnalysis": "discriminant_analysis",
    "GaussianNB": "naive_bayes",
}
NOTHING = "\N{EM DASH}"


def pairs():
    """Each estimator that both have: (name, fastnn's class, scikit-learn's class)."""
    for name, module in MODULES.items():
        if hasattr(fastnn, name):
            theirs = getattr(importlib.import_module(f"sklearn.{module}"), name)
            yield name, getattr(fastnn, name), theirs


def defaults_of(cls):
    """The parameters of the constructor and their defaults."""
    return {p.name: p.default for p in inspect.signature(cls).parameters.values()}


def methods_of(cls):
    """The names of public methods, but for `set_fit_request` and its like."""
    names = (n for n, _ in inspect.getmembers(cls, inspect.isroutine))
    return {n for n in names if not n.startswith("_") and not n.endswith("_request")}


def learned_by(cls):
    """The public attributes that a fit leaves."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3)), np.arange(40) % 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fit so short need not converge
        model = cls().fit(X, y)
    return {
        n for n in dir(model) if n.endswith("_") and not n.startswith("_") and hasattr(model, n)
    }


def listed(names):
    """Names in their order as code, or a dash."""
    return ", ".join(f"``{name}``" for name in sorted(names)) or NOTHING


def arguments_of(cls, method):
    """The names of the arguments of a method."""
    return set(inspect.signature(getattr(cls, method)).parameters) - {"self", "X", "y"}


def arguments_beyond(cls, other, methods):
    """Those arguments of methods that another class lacks, each as method(argument, ...)."""
    found = ((m, sorted(arguments_of(cls, m) - arguments_of(other, m))) for m in methods)
    return {f"{method}({', '.join(names)})" for method, names in found if names}


def rows_of(name, ours, theirs):
    """The rows of one estimator: its name, what, only in fastnn, only in scikit-learn."""
    mine, other = defaults_of(ours), defaults_of(theirs)
    both = methods_of(ours) & methods_of(theirs)
    found = [
        ("parameters", set(mine), set(other)),
        ("methods", methods_of(ours), methods_of(theirs)),
        (
            "arguments",
            arguments_beyond(ours, theirs, both),
            arguments_beyond(theirs, ours, both),
        ),
        ("attributes", learned_by(ours), learned_by(theirs)),
    ]
    rows = [(what, listed(a - b), listed(b - a)) for what, a, b in found if a != b]
    changed = [k for k in mine if k in other and repr(mine[k]) != repr(other[k])]
    if changed:
        defaults = (", ".join(f"``{k}={d[k]!r}``" for k in changed) for d in (mine, other))
        rows.append(("defaults", *defaults))
    for i, row in enumerate(rows or [("nothing", NOTHING, NOTHING)]):
        yield ("" if i else f"`{name}`", *row)


def table():
    """Lines of the table in reStructuredText."""
    yield from (".. list-table::", "   :header-rows: 1", "   :widths: 22 12 36 30", "")
    rows = [("estimator", "", "only in fastnn", "only in scikit-learn")]
    for pair in pairs():
        rows.extend(rows_of(*pair))
    for first, *others in rows:
        yield f"   * - {first}"
        yield from (f"     - {cell}" for cell in others)


class PeerInterface(SphinxDirective):
    """`.. peer-interface::`"""

    def run(self):
        return self.parse_text_to_nodes("\n".join(table()))


def setup(app):
    app.add_directive("peer-interface", PeerInterface)
    return {"parallel_read_safe": True}
