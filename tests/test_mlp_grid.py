"""A search over perceptrons in several processes: together they use no more threads than cores."""

import os
import warnings

import numpy as np
import pytest

import fastnn

model_selection = pytest.importorskip("sklearn.model_selection", reason="needs scikit-learn")


class Witness:
    """A callback that takes down, in a file of its process, the threads that a fit may use."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, progress):
        path = os.path.join(self.folder, f"{os.getpid()}.txt")
        with open(path, "w", encoding="ascii") as file:
            file.write(str(fastnn.get_num_threads()))


def test_a_search_does_not_oversubscribe(tmp_path, monkeypatch):
    monkeypatch.delenv("FASTNN_NUM_THREADS", raising=False)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 8))
    y = (x[:, 0] > 0).astype(int)
    search = model_selection.GridSearchCV(
        fastnn.MLPClassifier(max_iter=3, random_state=0, callbacks=Witness(str(tmp_path))),
        {"hidden_layer_sizes": [(8,), (16,)], "alpha": [1e-4, 1e-2]},
        cv=2,
        n_jobs=2,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(x, y)
    threads = {int(p.stem): int(p.read_text()) for p in tmp_path.iterdir()}
    workers = [count for pid, count in threads.items() if pid != os.getpid()]
    assert workers, "the search has made no processes"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert 2 * max(workers) <= max(2, cores)
