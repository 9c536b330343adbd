"""The directive `peer-differences`: a table of docs/peer_differences.toml.

Its option `:kind:` names the kinds of differences to show; the tests keep the file exact.
"""

import re
import tomllib
from pathlib import Path
from typing import ClassVar

from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

SOURCE = Path(__file__).parents[1] / "peer_differences.toml"


def differences(kinds, source=SOURCE):
    """The entries of these kinds, by suite and otherwise in the order of the file."""
    entries = tomllib.loads(source.read_text(encoding="utf-8"))["difference"]
    return sorted((e for e in entries if e["kind"] in kinds), key=lambda entry: entry["suite"])


def as_markup(text):
    """The text of a reason in reStructuredText, to which a bare `coef_` would be a link.

    >>> as_markup("coef_ is  like `classes_`")
    '`coef_` is like `classes_`'
    """
    return re.sub(r"(?<![\w`])(\w+_)(?![\w`])", r"`\1`", " ".join(text.split()))


def table_of(entries):
    """Lines of a table in reStructuredText."""
    yield from (".. list-table::", "   :header-rows: 1", "   :widths: 20 12 68", "")
    rows = [("scikit-learn's tests", "kind", "difference")]
    for entry in entries:
        suite = entry["suite"].replace("_", " ")
        rows.append((suite, entry["kind"], as_markup(entry["reason"])))
    for first, *others in rows:
        yield f"   * - {first}"
        yield from (f"     - {cell}" for cell in others)


class PeerDifferences(SphinxDirective):
    """`.. peer-differences::` with `:kind: deliberate missing`."""

    option_spec: ClassVar = {"kind": directives.unchanged_required}

    def run(self):
        self.env.note_dependency(str(SOURCE))
        entries = differences(self.options["kind"].split())
        if not entries:
            return self.parse_text_to_nodes("There are none.")
        return self.parse_text_to_nodes("\n".join(table_of(entries)))


def setup(app):
    app.add_directive("peer-differences", PeerDifferences)
    return {"parallel_read_safe": True}
