"""Python code in a process of its own, where the package is imported afresh."""

import os
import subprocess
import sys
import textwrap


def run(code, *arguments, timeout=300, **environment):
    """Run code with warnings as errors and return what it did; None unsets a variable."""
    env = {**os.environ, **environment}
    env = {name: value for name, value in env.items() if value is not None}
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, env=env, check=False, timeout=timeout
    )


def output_of(code, *arguments, **options):
    """Run code that must succeed and return what it printed."""
    done = run(code, *arguments, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout
