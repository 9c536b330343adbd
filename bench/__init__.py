"""Speed comparisons: `python -m bench` prints a table; `pytest bench` runs pytest-benchmark."""
