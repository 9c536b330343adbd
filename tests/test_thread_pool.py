"""The threads of a call: how many, after forks, in other processes, at the end, among other threads."""

import os
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from exact_data import labels, network, numbers, parameters
from processes import output_of, run
from test_same_bits import same
from test_thread_bits import SIZES, threads

import fastnn

COMPILED = fastnn.backend() == "compiled"
compiled_only = pytest.mark.skipif(not COMPILED, reason="NumPy's threads are its own")
can_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
TESTS = Path(__file__).parent
LIMIT = 120  # seconds that nothing here comes near unless it hangs

# Work for several threads: predict, train and fit; one line that tells results apart.
PRELUDE = f"""
    import os, signal, sys, threading, time
    sys.path.insert(0, {str(TESTS)!r})
    import numpy as np, fastnn
    from exact_data import digest, labels, network, numbers, parameters
    x, y = numbers((600, 60), 1, np.dtype("float32")), labels(600, 10, 2)

    def work(num_threads=None):
        net = network(np.dtype("float32"), {SIZES})
        losses = net.train(x, y, epochs=1, batch_size=300, rng=0, num_threads=num_threads)
        rows = net(x, num_threads=num_threads)
        return digest(*losses, *parameters(net), rows, net(x[0], num_threads=num_threads))

    def child(job, limit=60):
        pid = os.fork()
        if pid:
            return pid
        signal.alarm(limit)
        try:
            job()
        except BaseException as error:
            print(error, file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)

    def status(pid):
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""


def after_prelude(code, *arguments, **options):
    """What code prints, run after the prelude in a process of its own; forks need no warning."""
    code = textwrap.dedent(PRELUDE) + textwrap.dedent(code)
    options = {"PYTHONWARNINGS": "ignore", "timeout": LIMIT} | options
    environment = {k: v for k, v in options.items() if k != "timeout"}
    env = {name: v for name, v in {**os.environ, **environment}.items() if v is not None}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=env,
        check=False,
        timeout=options["timeout"],
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


# How many


@pytest.mark.parametrize("count", [1, 2, 7, np.int64(3), True])
def test_numbers_of_threads(count, dtype):
    with threads(count):
        assert fastnn.get_num_threads() == count
    net = network(dtype)
    x, y = numbers((30, 20), 1, dtype), labels(30, 10, 2)
    options = {"num_threads": count}
    assert same(net(x, **options), net(x)) and same(net(x[0], **options), net(x[0]))
    assert same(net.activations(x, **options)[1], net.activations(x)[1])
    assert net.loss_and_gradients(x, y, **options)[0] == net.loss_and_gradients(x, y)[0]
    assert len(net.train(x, y, epochs=1, **options)) == 1


@pytest.mark.parametrize(
    ("count", "error", "words"),
    [
        (0, ValueError, "num_threads is 0: it must be at least 1"),
        (-3, ValueError, "num_threads is -3: it must be at least 1"),
        (1.5, TypeError, "num_threads must be an integer, not 1.5"),
        ("2", TypeError, "num_threads must be an integer, not '2'"),
        (np.float64(2), TypeError, "num_threads must be an integer"),
        ([2], TypeError, "num_threads must be an integer"),
    ],
)
def test_what_is_no_number_of_threads(count, error, words, dtype):
    net = network(dtype)
    before, weights = fastnn.get_num_threads(), [p.copy() for p in parameters(net)]
    x, y = numbers((30, 20), 1, dtype), labels(30, 10, 2)
    for call in (
        fastnn.set_num_threads,
        lambda n: net(x, num_threads=n),
        lambda n: net(x[0], num_threads=n),
        lambda n: net.activations(x, num_threads=n),
        lambda n: net.loss_and_gradients(x, y, num_threads=n),
        lambda n: net.train(x, y, epochs=1, num_threads=n),
    ):
        with pytest.raises(error) as raised:
            call(count)
        assert words in str(raised.value)
    assert fastnn.get_num_threads() == before
    assert all(map(same, parameters(net), weights))
    assert len(net.train(x, y, epochs=1)) == 1


@pytest.mark.parametrize("count", [129, 2**31, 2**70])
def test_far_too_many_threads_are_as_many_as_there_may_be(count, dtype):
    net = network(dtype)
    x = numbers((30, 20), 1, dtype)
    with threads(count):
        assert fastnn.get_num_threads() == 128 or not COMPILED
        assert same(net(x, num_threads=count), net(x, num_threads=1))
        assert same(net.activations(x, num_threads=count)[-1], net(x))


def test_none_is_no_number_to_set():
    with pytest.raises(TypeError, match="num_threads must be an integer"):
        fastnn.set_num_threads(None)


def allowed():
    """The processors of this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def count_with(code="", **environment):
    """get_num_threads() of a fresh process."""
    names = {"FASTNN_NUM_THREADS": None, "OMP_NUM_THREADS": None} | environment
    code = code + "\nimport fastnn; print(fastnn.get_num_threads())"
    return int(output_of(code, timeout=LIMIT, **names))


@compiled_only
@pytest.mark.parametrize(
    ("variables", "count"),
    [
        ({"FASTNN_NUM_THREADS": "5"}, 5),
        ({"FASTNN_NUM_THREADS": "5", "OMP_NUM_THREADS": "3"}, 5),
        ({"FASTNN_NUM_THREADS": "", "OMP_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "4,3,2"}, 4),
        ({"OMP_NUM_THREADS": "1"}, 1),
        ({"FASTNN_NUM_THREADS": "100000"}, 128),
    ],
)
def test_the_environment_says_how_many(variables, count):
    assert count_with(**variables) == count


@compiled_only
@pytest.mark.parametrize("text", ["", "0", "-2", "abc", "3x", "2.5"])
def test_other_values_of_omp_num_threads_are_passed_over(text):
    assert count_with(OMP_NUM_THREADS=text) <= allowed()


@compiled_only
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="there is no affinity to set")
def test_one_processor_is_one_thread():
    code = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])"
    assert count_with(code) == 1
    assert count_with(code, FASTNN_NUM_THREADS="3") == 3


@pytest.mark.parametrize("text", ["abc", "0", "-1", "1.5", "2,1", " "])
def test_a_bad_variable_is_named_at_import(text):
    done = run("import fastnn", FASTNN_NUM_THREADS=text, timeout=LIMIT)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last == f"ValueError: FASTNN_NUM_THREADS={text!r}: it must be an integer of at least 1"


def started_by(call, *, timeout=LIMIT):
    """How many threads of the pool the statements start, in a fresh process set to one."""
    code = f"""
    def tasks():
        return len(os.listdir("/proc/self/task"))
    net = network(np.dtype("float32"), {SIZES})
    fastnn.set_num_threads(1)
    before = tasks()
    {call}
    print(tasks() - before)
    """
    return int(after_prelude(code, timeout=timeout, OPENBLAS_NUM_THREADS="1"))


in_proc = pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")


@compiled_only
@in_proc
@pytest.mark.parametrize(
    ("call", "started"),
    [
        ("net(x)", 0),
        ("net(x, num_threads=3)", 2),
        ("net.activations(x, num_threads=3)", 2),
        ("net.loss_and_gradients(x, y, num_threads=3)", 2),
        ("net.train(x, y, epochs=1, batch_size=300, num_threads=3)", 2),
        ("net.train(x, y, epochs=1, solver='lbfgs', num_threads=3)", 2),
        ("net(x[0], num_threads=3)", 0),  # too little work
        ("fastnn.set_num_threads(3); net(x)", 2),
        ("fastnn.set_num_threads(3); net(x, num_threads=1)", 0),
    ],
)
def test_a_call_starts_as_many_threads_as_it_may_use(call, started):
    assert started_by(call) == started


@compiled_only
@in_proc
@pytest.mark.parametrize(
    "call",
    [
        "net(x[:1], num_threads=5)",
        "net.activations(x[:1], num_threads=5)",
        "net.loss_and_gradients(x[:1], y[:1], num_threads=5)",
        "net.train(x[:1], y[:1], epochs=1, num_threads=5)",
        "try: net(x[:, :3], num_threads=5)\n    except ValueError: pass",
        "try: net(x, num_threads=5, out=x)\n    except ValueError: pass",
        "try: net.activations(x[:, :3], num_threads=5)\n    except ValueError: pass",
        "try: net.loss_and_gradients(x, y - 1, num_threads=5)\n    except ValueError: pass",
    ],
)
def test_the_argument_is_forgotten_after_the_call(call):
    assert started_by(call + "\n    for _ in range(3): net(x)") == 0


@compiled_only
@in_proc
@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("net.train(np.where(x > 9, x, np.inf), y, epochs=1, num_threads=1)", "FloatingPointError"),
        (
            "net.train(x, y, epochs=1, num_threads=1, callback=lambda e, l: 1 / 0)",
            "ZeroDivisionError",
        ),
        ("net.train(x, y, epochs=1, num_threads=1, callback=3)", "TypeError"),
        ("net(x, num_threads=1, out=y)", "TypeError"),
    ],
)
def test_the_argument_is_forgotten_after_an_error(call, error):
    code = f"""
    fastnn.set_num_threads(3)
    try:
        {call}
    except {error}:
        assert tasks() == before, "it was not one thread"
        net(x)
    """
    assert started_by(textwrap.indent(textwrap.dedent(code), "    ")) == 2


@compiled_only
@in_proc
def test_the_argument_is_for_its_own_thread():
    """While one thread trains with 2, another one computes with the 4 that were set."""
    code = f"""
    def tasks():
        return len(os.listdir("/proc/self/task"))
    begun, done = threading.Event(), threading.Event()
    def callback(epoch, loss):
        begun.set()
        done.wait(60)
    def train():
        net = network(np.dtype("float32"), {SIZES})
        net.train(x, y, epochs=1, batch_size=300, num_threads=2, callback=callback)
    fastnn.set_num_threads(4)
    before = tasks()
    thread = threading.Thread(target=train)
    thread.start()
    begun.wait(60)
    middle = tasks()
    network(np.dtype("float32"), {SIZES})(x)
    print(middle - before, tasks() - middle)
    done.set()
    thread.join()
    """
    assert after_prelude(code, OPENBLAS_NUM_THREADS="1") == "2 2\n"


# Limits from outside


@compiled_only
def test_threadpoolctl_sees_and_limits_the_threads():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    with threads(3):
        (info,) = [i for i in threadpoolctl.threadpool_info() if i["user_api"] == "fastnn"]
        assert info["num_threads"] == 3
        assert info["internal_api"] == "fastnn" and info["version"] == fastnn.__version__
        assert info["isa"] == fastnn.isa()
        for options in ({}, {"user_api": "fastnn"}):
            with threadpoolctl.threadpool_limits(1, **options):
                assert fastnn.get_num_threads() == 1
            assert fastnn.get_num_threads() == 3
        with threadpoolctl.threadpool_limits({"fastnn": 2}):
            assert fastnn.get_num_threads() == 2
        with threadpoolctl.threadpool_limits(1, user_api="blas"):
            assert fastnn.get_num_threads() == 3
        assert fastnn.get_num_threads() == 3


@compiled_only
def test_an_old_or_broken_threadpoolctl_does_no_harm(tmp_path):
    """Version 3.1 has nothing to register with."""
    (tmp_path / "threadpoolctl.py").write_text("__version__ = '3.1.0'\n")
    code = "import fastnn, threadpoolctl; print(threadpoolctl.__version__, fastnn.backend())"
    assert output_of(code, timeout=LIMIT, PYTHONPATH=tmp_path) == "3.1.0 compiled\n"


def test_joblib_computes_the_same(tmp_path):
    pytest.importorskip("joblib")
    script = tmp_path / "jobs.py"
    main = """
    def job(seed):
        net = network(np.dtype("float32"), {sizes})
        losses = net.train(x, y, epochs=1, batch_size=300, rng=seed)
        return fastnn.get_num_threads(), digest(*losses, *parameters(net), net(x))

    if __name__ == "__main__":
        import joblib
        right = [job(seed)[1] for seed in (1, 2, 1, 2)]
        for threads in (1, 3):
            with joblib.parallel_config("loky", inner_max_num_threads=threads):
                found = joblib.Parallel(n_jobs=2)(joblib.delayed(job)(s) for s in (1, 2, 1, 2))
            print([count for count, _ in found], [d for _, d in found] == right)
    """
    text = textwrap.dedent(PRELUDE) + textwrap.dedent(main.format(sizes=SIZES))
    script.write_text(text)
    env = {k: v for k, v in os.environ.items() if k != "FASTNN_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        env=env,
        check=False,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stderr
    counts = [[1] * 4, [3] * 4] if COMPILED else [[1] * 4] * 2
    assert done.stdout == "".join(f"{c} True\n" for c in counts)


# Forks


@can_fork
def test_twenty_forks_in_a_row():
    code = """
    right = work(1)
    for i in range(20):
        count = 2 + i % 2
        assert work(count) == right
        def job():
            assert work(count) == right and work(5 - count) == right
        assert status(child(job)) == 0, i
        assert work(count) == right
    print("done")
    """
    assert after_prelude(code) == "done\n"


@can_fork
def test_forks_of_forks():
    code = """
    right = work(3)
    def nest(depth):
        assert work(3) == right
        if depth:
            assert status(child(lambda: nest(depth - 1))) == 0
        assert work(2) == right
    nest(3)
    print("done")
    """
    assert after_prelude(code) == "done\n"


@can_fork
def test_children_compute_at_the_same_time():
    code = """
    right = work(3)
    def job():
        for count in (3, 1, 2):
            assert work(count) == right
    pids = [child(job) for _ in range(4)]
    assert work(3) == right
    print([status(pid) for pid in pids])
    """
    assert after_prelude(code) == "[0, 0, 0, 0]\n"


@compiled_only  # a fork while OpenBLAS computes may hang
@can_fork
def test_forks_while_other_threads_compute():
    code = """
    right = work(3)
    stop, wrong = threading.Event(), []
    def loop(count):
        while not stop.is_set():
            if work(count) != right:
                wrong.append(count)
    others = [threading.Thread(target=loop, args=(count,)) for count in (2, 3)]
    for thread in others:
        thread.start()
    def job():
        for count in (3, 2):
            assert work(count) == right
    for i in range(10):
        assert status(child(job)) == 0, i
    stop.set()
    for thread in others:
        thread.join()
    print(wrong)
    """
    assert after_prelude(code) == "[]\n"


@compiled_only  # a fork while OpenBLAS computes may hang
@can_fork
def test_a_network_that_others_use_works_in_a_child():
    """Forked while two threads predict with it for the first time, packing its weights."""
    code = """
    wide = (500, 900, 10)
    rows = numbers((40, 500), 5, np.dtype("float32"))
    right = network(np.dtype("float32"), wide, ("tanh",))(rows)
    for i in range(10):
        net = network(np.dtype("float32"), wide, ("tanh",))
        others = [threading.Thread(target=net, args=(rows,)) for _ in range(2)]
        for thread in others:
            thread.start()
        def job():
            assert np.array_equal(net(rows), right)
            net.weights[1][...] = 0
            assert np.ptp(net(rows), axis=0).max() == 0
            net.train(rows, y[:40], epochs=1)
            assert np.ptp(net(rows), axis=0).max() > 0
        assert status(child(job)) == 0, i
        for thread in others:
            thread.join()
        assert np.array_equal(net(rows), right)
    print("done")
    """
    assert after_prelude(code) == "done\n"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pools_of_processes_with_threads(method, tmp_path):
    import multiprocessing

    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system has no {method}")
    script = tmp_path / "pool.py"
    main = """
    if __name__ == "__main__":
        import multiprocessing
        right = work(1)
        assert work(3) == right
        with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
            found = pool.map_async(work, (1, 2, 3, 2)).get(100)
        print([f == right for f in found], work(3) == right)
    """
    script.write_text(textwrap.dedent(PRELUDE) + textwrap.dedent(main))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", script, method],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )
    assert done.stdout == "[True, True, True, True] True\n", done.stderr


# Callers


def test_callers_of_all_sizes_at_once(dtype):
    """Large and small, predicting, training and fitting, each with threads of its own."""
    wide = network(dtype, (300, 900, 10), ("tanh",))
    usual = network(dtype, SIZES)
    x, y = numbers((600, 60), 1, dtype), labels(600, 10, 2)
    x_wide = numbers((3, 300), 3, dtype)

    def train(num_threads=None):
        net = network(dtype, SIZES)
        losses = net.train(x, y, epochs=1, batch_size=300, rng=0, num_threads=num_threads)
        return np.array(losses)

    def fit(num_threads=None):
        return fastnn.GaussianClassifier().fit(x, y).predict_proba(x)

    def gradients(num_threads=None):
        return usual.loss_and_gradients(x, y, num_threads=num_threads)[1][0][0]

    jobs = [
        lambda **o: wide(x_wide, **o),
        lambda **o: usual(x, **o),
        lambda **o: usual(x[0], **o),
        lambda **o: fastnn.dense_forward(x, usual_weights),
        gradients,
        train,
        fit,
    ]
    usual_weights = usual.weights[0].copy()
    with threads(2):
        right = [job(num_threads=1) for job in jobs]
        start = threading.Barrier(6)

        def call(i):
            start.wait(LIMIT)
            end = time.monotonic() + 0.5
            rounds = 0
            while time.monotonic() < end or rounds < 2:
                for k in range(len(jobs)):
                    k = (i + k) % len(jobs)
                    assert same(jobs[k](num_threads=2 + (i + k) % 3), right[k])
                rounds += 1
            return rounds

        with ThreadPoolExecutor(6) as pool:
            assert min(pool.map(call, range(6), timeout=LIMIT)) >= 2


# The end


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_script_ends_quietly(count):
    begin = time.monotonic()
    done = run(
        textwrap.dedent(PRELUDE) + f"assert work({count}) == work(1)\nprint(time.time())",
        timeout=LIMIT,
    )
    ended = time.time() - float(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert ended < 5 and time.monotonic() - begin < LIMIT


@pytest.mark.parametrize("job", ["train", "predict"])
def test_a_script_ends_while_a_daemon_computes(job):
    code = """
    net = network(np.dtype("float32"), (60, 700, 10), ("tanh",))
    begun = threading.Event()
    def busy():
        if sys.argv[1] == "train":
            def callback(epoch, loss):
                begun.set()
            net.train(x, y, epochs=10**6, batch_size=600, num_threads=3, callback=callback)
        while True:
            net(x, num_threads=3)
            begun.set()
    threading.Thread(target=busy, daemon=True).start()
    begun.wait(60)
    time.sleep(0.05)
    print(time.time(), flush=True)
    """
    stopped = float(after_prelude(code, job))
    assert 0 < time.time() - stopped < 10


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
def test_ctrl_c_in_a_training_with_threads():
    """The threads of the pool block signals: Python's own thread gets it, and all goes on."""
    code = """
    right = work(3)
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    net = network(np.dtype("float32"), (60, 700, 10), ("tanh",))
    try:
        net.train(x, y, epochs=10**6, batch_size=600, num_threads=3)
    except KeyboardInterrupt:
        print(work(3) == right)
    """
    assert after_prelude(code) == "True\n"
