"""What a fit prints as it goes: a bar of tqdm, or lines."""

from __future__ import annotations

from typing import Any

_BAR = 1  # the verbosity that shows a bar where tqdm is installed


def _bar(total: int) -> Any:
    try:
        from tqdm.auto import tqdm  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        return None
    return tqdm(total=total, unit="epoch")


class Report:
    """Nothing for verbosity 0; for 1 a bar, or lines without tqdm; for more, lines."""

    def __init__(self, verbosity: int, total: int) -> None:
        self._silent = verbosity == 0
        self._bar = _bar(total) if verbosity == _BAR else None

    def epoch(self, number: int, loss: float, score: float | None) -> None:
        """Report the end of an epoch, counted from 1."""
        if self._bar is not None:
            figures = {"loss": f"{loss:.6g}"}
            if score is not None:
                figures["validation score"] = f"{score:.4f}"
            self._bar.set_postfix(figures)
            self._bar.update()
        elif not self._silent:
            print(f"Iteration {number}, loss = {loss:.8f}", flush=True)
            if score is not None:
                print(f"Validation score: {score:f}", flush=True)

    def say(self, message: str) -> None:
        """Print a message."""
        if self._bar is not None:
            self._bar.write(message)
        elif not self._silent:
            print(message, flush=True)

    def close(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.close()
