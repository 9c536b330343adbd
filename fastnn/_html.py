"""How a notebook shows an estimator: a line that unfolds into a table of its parameters."""

from __future__ import annotations

from typing import Any

_STYLE = (
    ".fastnn-estimator summary{cursor:pointer}"
    ".fastnn-estimator td{text-align:left;padding:.1em .6em;font-family:monospace}"
    ".fastnn-estimator .given{font-weight:bold}"
)
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})


def page(title: str, parameters: dict[str, tuple[Any, bool]], fitted: bool) -> str:
    """Return HTML of an estimator's name and parameters: the value, and whether it is no default."""
    rows = "".join(
        f'<tr class="{"given" if given else "default"}"><td>{name}</td>'
        f"<td>{repr(value).translate(_ENTITIES)}</td></tr>"
        for name, (value, given) in parameters.items()
    )
    state = "fitted" if fitted else "not fitted"
    return (
        f'<div class="fastnn-estimator"><style>{_STYLE}</style><details>'
        f"<summary>{title.translate(_ENTITIES)} <small>({state})</small></summary>"
        f"<table><tbody>{rows}</tbody></table></details></div>"
    )
