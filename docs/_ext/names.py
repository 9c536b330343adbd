"""The default role of the documentation: `name` is a link if fastnn has it, else just code."""

import operator

from docutils import nodes
from sphinx.util.docutils import SphinxRole


def public_name(text):
    """The full name of a public class, function or module of fastnn, or None.

    >>> public_name("Ridge"), public_name("Ridge.fit"), public_name("max_iter")
    ('fastnn.Ridge', 'fastnn.Ridge.fit', None)
    """
    import fastnn

    text = text.removeprefix("fastnn.").removesuffix("()")
    first = text.partition(".")[0]
    if first not in fastnn.__all__:
        return None
    try:
        found = operator.attrgetter(text)(fastnn)
    except AttributeError:
        return None
    is_documented = callable(found) or isinstance(found, type)
    return f"fastnn.{text}" if is_documented and not text.startswith("runtime.") else None


class Name(SphinxRole):
    """`Ridge.fit`, `fastnn.Ridge.fit` or `fastnn.Ridge.fit()` is a link; `max_iter` is code."""

    def run(self):
        name = public_name(self.text)
        if name is None:
            return [nodes.literal(self.rawtext, self.text)], []
        role = self.env.get_domain("py").role("obj")
        return role("py:obj", self.rawtext, f"{self.text} <{name}>", self.lineno, self.inliner)


def setup(app):
    app.add_role("name", Name())
    return {"parallel_read_safe": True}
