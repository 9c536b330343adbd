"""Configuration of the documentation: `sphinx-build -W -n docs docs/_build/html`."""

import sys
from pathlib import Path

import fastnn

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

project = "fastnn"
author = "the fastnn developers"
copyright = author
version = release = fastnn.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
    "names",
    "peer_differences",
    "peer_interface",
]
exclude_patterns = ["_build", "_ext", "**/README.md"]
templates_path = ["_templates"]
suppress_warnings = ["config.cache"]  # the gallery's options hold functions, which cannot be cached
nitpicky = True
default_role = "name"  # of _ext/names.py: a link where there is something of that name

# Docstrings name the types with their shapes, so signatures need not.
autodoc_typehints = "none"
autodoc_default_options = {"member-order": "bysource"}
autosummary_generate = True
numpydoc_show_class_members = False  # the template of classes lists them
numpydoc_class_members_toctree = False
myst_heading_anchors = 2

sphinx_gallery_conf = {
    "examples_dirs": str(HERE.parent / "examples"),
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "reset_argv": "pictures.arguments",  # where an example writes the picture that it draws
    "abort_on_example_error": True,
    "download_all_examples": False,
    "min_reported_time": 3600,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_title = f"fastnn {release}"
html_show_sourcelink = False
html_theme_options = {
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "navigation_depth": 2,
}
