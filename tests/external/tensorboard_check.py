#!/usr/bin/env python3
"""Reads the event files of `ffcl-gpu train --tensorboard` with TensorBoard itself, and compares them with metrics.jsonl.

    pip install tensorboard
    python tests/external/tensorboard_check.py target/release/ffcl-gpu
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

REPLICAS, EPOCHS = 2, 3
PER_LAYER = {"loss": "layer_losses", "alignment": "alignment", "participation_ratio": "participation_ratio",
             "dead_units": "dead_units", "weight_norm": "weight_norm", "update_norm": "update_norm", "divergence": "divergence"}
SINGLE = {"accuracy/train": "train_accuracy", "accuracy/test_a": "test_accuracy_a", "accuracy/test_b": "test_accuracy_b",
          "accuracy/test_ensemble": "test_accuracy_ensemble", "speed/seconds": "seconds",
          "speed/images_per_second": "samples_per_second"}


def expected(line):
    """Every scalar of a line of metrics.jsonl, by its tag."""
    scalars = {tag: line[key] for tag, key in SINGLE.items()}
    for tag, key in PER_LAYER.items():
        scalars.update({f"{tag}/layer_{layer + 1}": value for layer, value in enumerate(line[key])})
    return scalars


def compare(run):
    """Compares all event files of a run with its metrics; returns the number of scalars."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    count = 0
    for replica in range(REPLICAS):
        events = EventAccumulator(str(run / "tensorboard" / f"r{replica}"))
        events.Reload()
        wanted = {line["epoch"]: expected(line) for line in lines if line["replica"] == replica}
        tags = set(events.Tags()["scalars"])
        assert tags == set(wanted[1]), tags ^ set(wanted[1])
        for tag in tags:
            found = {event.step: event.value for event in events.Scalars(tag)}
            assert list(found) == sorted(wanted), (tag, found)
            for epoch, value in found.items():
                # Event files hold f32.
                assert value == np.float32(wanted[epoch][tag]), (tag, epoch, value, wanted[epoch][tag])
                count += 1
    return count


def main():
    binary = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        train = [binary, "train", "--device", "cpu", "--limit-train", "1000", "--replicas", str(REPLICAS), "--quiet"]
        subprocess.run([*train, "--epochs", str(EPOCHS), "--tensorboard", "--schedule", "constant", "--out", run], check=True)
        count = compare(run)
        # A run that goes on writes its whole history.
        subprocess.run([binary, "train", "--resume", run, "--epochs", str(EPOCHS + 2), "--quiet"], check=True)
        print(f"{count} scalars, and {compare(run)} after going on, are those of metrics.jsonl")


if __name__ == "__main__":
    main()
