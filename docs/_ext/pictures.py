"""What the gallery asks while it runs the examples."""

import tempfile
from pathlib import Path


def arguments(gallery_conf, script_vars):
    """The command line of an example: its picture goes to a file that nobody needs."""
    name = Path(script_vars["src_file"]).stem
    return ["-o", str(Path(tempfile.mkdtemp()) / f"{name}.png")]
