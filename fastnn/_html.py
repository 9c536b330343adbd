"""How a notebook shows an estimator: a table of its parameters that unfolds."""

from __future__ import annotations

import sys
from typing import Any

_STYLE = (
    "table{border-collapse:collapse;margin:.3em 0 0 1em}"
    "td{text-align:left!important;padding:.1em .6em;font-family:monospace}"
    "tr.given td{font-weight:bold}summary{cursor:pointer}"
)


def _escaped(text: str) -> str:
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(character, entity)
    return text


def page(estimator: Any, parameters: dict[str, tuple[Any, bool]], fitted: bool) -> str:
    """Return HTML for an estimator, of its parameters: the value, and whether it was given.

    Where scikit-learn is loaded it is drawn by it, so that it looks like the others there.
    """
    draw = getattr(sys.modules.get("sklearn.utils"), "estimator_html_repr", None)
    if draw is not None:
        return str(draw(estimator))
    rows = "".join(
        f'<tr class="{"given" if given else "default"}">'
        f"<td>{_escaped(name)}</td><td>{_escaped(repr(value))}</td></tr>"
        for name, (value, given) in parameters.items()
    )
    title = _escaped(type(estimator).__name__)
    state = "fitted" if fitted else "not fitted"
    return (
        f'<div class="fastnn-estimator"><style>@scope{{{_STYLE}}}</style>'
        f"<details><summary>{title} <small>({state})</small></summary>"
        f"<table><tbody>{rows}</tbody></table></details>"
        f"<noscript><pre>{_escaped(repr(estimator))}</pre></noscript></div>"
    )
