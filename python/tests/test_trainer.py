"""The layer below the estimator: loops, signals, memory, processes."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from conftest import DEVICE

from ffcl_gpu import Trainer


def data(count=2000, width=20):
    random = np.random.default_rng(0)
    y = np.arange(count) % 3
    x = random.normal(size=(count, width)).astype(np.float32)
    x[:, 0] += 3 * y
    return x, y


def trainer(count=2000, **config):
    return Trainer({"device": DEVICE, "epochs": 3, "batch_size": 50, **config}, *data(count))


def test_epochs_callbacks_and_weights():
    heard = []
    run = Trainer({"device": DEVICE, "epochs": 3, "hidden": (8,), "learning_rate": 0.05}, *data(), callbacks=[lambda run, reports: heard.append(reports)])
    assert [reports[0]["epoch"] for reports in run] == [1, 2, 3] and len(heard) == 3
    assert run.epoch() is None and run.history_[-1]["train_accuracy"] > 0.6
    assert [weight.shape for weight, _ in run.weights[0]] == [(8, 20), (3, 8)] and len(run.weights) == 2
    assert run.config["hidden_loss"] and run.config["standardize"] is True and run.memory > 0 and "cpu" in run.device
    changed = [[(weight * 0, bias) for weight, bias in layers] for layers in run.weights]
    run.weights = changed
    assert not run.weights[1][0][0].any() and run.weights[1][0][1].any()
    with pytest.raises(ValueError, match="other shapes"):
        run.weights = [layers[:1] for layers in changed]


def test_validation_rows_are_not_trained_on():
    x, y = data(600)
    rows = np.arange(0, 600, 4)
    spoiled = x.copy()
    kept = np.setdiff1d(np.arange(600), rows)
    one = Trainer({"device": DEVICE, "epochs": 2}, x, y, validation=rows)
    other = Trainer({"device": DEVICE, "epochs": 2}, spoiled[kept], y[kept])
    for run in (one, other):
        list(run)
    assert np.array_equal(one.weights[0][0][0], other.weights[0][0][0])


def test_wrong_configurations_are_refused():
    for config, words in [({"epoch": 3}, "'epoch' is no option"), ({"epochs": "three"}, "options"), ({"batch_size": 5000}, "batch")]:
        with pytest.raises(ValueError, match=words):
            trainer(**config)
    with pytest.raises(ValueError, match="--temperature belongs to --hidden-loss prototypes"):
        trainer(recipe="heads", temperature=0.3)
    with pytest.raises(ValueError, match="NaN or infinity: nan in row 1, column 2"):
        x, y = data()
        x[1, 2] = np.nan
        Trainer({}, x, y)


def test_an_exception_of_a_callback_stops_and_the_run_goes_on_to_the_same_bits():
    def stop(done, steps):
        raise RuntimeError("enough")

    run = Trainer({"device": DEVICE, "epochs": 3, "hidden": (512, 512)}, *data(20000), progress=stop)
    with pytest.raises(RuntimeError, match="enough"):
        run.epoch()
    run.progress = None
    list(run)
    whole = trainer(20000, hidden=(512, 512), batch_size=None)
    list(whole)
    assert np.array_equal(run.weights[0][1][0], whole.weights[0][1][0])


def test_control_c_is_heard_within_an_epoch():
    # A shell that starts the tests in the background has them ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    run = trainer(60000, hidden=(512, 512), epochs=100)
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        for _ in run:
            pass
    assert time.monotonic() - started < 10
    signal.signal(signal.SIGINT, before)


def test_the_interpreter_goes_on_while_it_trains():
    counted = 0
    done = threading.Event()

    def count():
        nonlocal counted
        while not done.is_set():
            counted += 1
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    list(trainer(20000, hidden=(256, 256)))
    done.set()
    thread.join()
    assert counted > 20


def _fit_in_child(queue):
    try:
        trainer()
        queue.put("trained")
    except RuntimeError as error:
        queue.put(str(error))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_fork_after_use_is_an_error_and_a_spawn_is_none():
    list(trainer())
    for method, words in [("fork", "forked from process"), ("spawn", "trained")]:
        context = multiprocessing.get_context(method)
        queue = context.Queue()
        child = context.Process(target=_fit_in_child, args=(queue,))
        child.start()
        assert words in queue.get(timeout=60)
        child.join(60)


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's own numbers")
def test_features_are_not_copied_but_to_the_device():
    """60,000 x 784 float32 are 179.4 MiB; on the processor the device's copy is in main memory, and there is no other."""
    code = """
import numpy as np, resource
from ffcl_gpu import Trainer
x = np.random.default_rng(0).random((60000, 784), dtype=np.float32)
y = np.arange(60000) % 10
Trainer({"device": "cpu"}, x[:1000], y[:1000]).epoch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
run = Trainer({"device": "cpu", "epochs": 1, "max_steps": 5}, x, y)
run.epoch()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""
    grown = float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
    print(f"peak memory grew by {grown:.1f} MiB for 179.4 MiB of features")
    assert grown < 1.35 * 179.4
