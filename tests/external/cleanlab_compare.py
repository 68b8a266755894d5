#!/usr/bin/env python3
"""Who finds more planted wrong labels of MNIST: `ffcl-gpu audit`, or cleanlab on cross-validated networks of scikit-learn of the same size?

For each noise the program makes labels wrong (`--label-noise`) and scores every training image; cleanlab scores the same labels by the
probabilities of networks 784-64-64-10 that have not seen the image (5 folds). Of both: the area under the ROC curve, and which share of the
k images with the worst scores is wrong, where k is the number of wrong labels. Exits with 1 where audit's precision is below 0.9.
"""

import argparse
import csv
import gzip
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from cleanlab.rank import get_label_quality_scores
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neural_network import MLPClassifier


def idx(folder: Path, name: str) -> np.ndarray:
    """The array of an IDX file, raw or compressed, in the folder or in its folder `mnist`."""
    for path in [folder / name, folder / f"{name}.gz", folder / "mnist" / name, folder / "mnist" / f"{name}.gz"]:
        if path.exists():
            data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            sizes = np.frombuffer(data, ">u4", data[3], 4)
            return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(sizes)
    sys.exit(f"no {name} in {folder}")


def judge(score: np.ndarray, wrong: np.ndarray) -> tuple[float, float]:
    """Area under the curve, and precision among as many as there are wrong ones."""
    worst = np.argsort(-score, kind="stable")[: wrong.sum()]
    return roc_auc_score(wrong, score), wrong[worst].mean()


def audit(options: argparse.Namespace, noise: str, trust: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The labels that audit saw, and its scores."""
    with tempfile.TemporaryDirectory() as folder:
        command = [options.binary, "audit", "mnist", "--data-dir", options.data_dir, "--label-noise", noise, "--trust", trust]
        command += ["--quiet", "--device", options.device, "--out", f"{folder}/audit", "--limit-train", str(count), "--show", "0"]
        subprocess.run([*command, *options.audit], check=True)
        labels, scores = np.zeros(count, int), np.full(count, np.nan)
        with open(f"{folder}/audit/scores.csv", newline="") as table:
            for row in csv.DictReader(table):
                labels[int(row["index"])], scores[int(row["index"])] = int(row["given"]), float(row["score"])
    assert not np.isnan(scores).any(), "some images have no score"
    return labels, scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--noise", nargs="+", default=["pair:0.05", "sym:0.05"])
    parser.add_argument("--trust", nargs="+", default=["partner", "own", "output"])
    parser.add_argument("--count", type=int, default=60000)
    parser.add_argument("--mlp-epochs", type=int, nargs="*", default=[6])
    parser.add_argument("--audit", nargs="*", default=[], help="more options of audit, without their dashes: replicas=1 epochs=5")
    options = parser.parse_args()
    options.audit = [word for option in options.audit for word in ("--" + option.split("=")[0], option.split("=")[1])]
    images = idx(Path(options.data_dir), "train-images-idx3-ubyte")[: options.count].reshape(-1, 784) / np.float32(255)
    truth = idx(Path(options.data_dir), "train-labels-idx1-ubyte")[: options.count].astype(int)
    passed = True
    print("noise      wrong  method                       AUC %  precision %  seconds")
    for noise in options.noise:
        for trust in options.trust:
            began = time.monotonic()
            labels, scores = audit(options, noise, trust, len(truth))
            wrong = labels != truth
            area, precision = judge(scores, wrong)
            passed &= precision >= 0.9
            name = f"audit --trust {trust}"
            print(f"{noise:<9} {wrong.sum():>6}  {name:<26} {100 * area:>7.2f} {100 * precision:>12.1f} {time.monotonic() - began:>8.0f}", flush=True)
        for epochs in options.mlp_epochs:
            began = time.monotonic()
            network = MLPClassifier((64, 64), max_iter=epochs, random_state=0)
            folds = StratifiedKFold(5, shuffle=True, random_state=0)
            probabilities = cross_val_predict(network, images, labels, cv=folds, method="predict_proba")
            area, precision = judge(-get_label_quality_scores(labels, probabilities), wrong)
            name = f"cleanlab, {epochs} epochs"
            print(f"{noise:<9} {wrong.sum():>6}  {name:<26} {100 * area:>7.2f} {100 * precision:>12.1f} {time.monotonic() - began:>8.0f}", flush=True)
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    import warnings

    # So few epochs are meant.
    warnings.filterwarnings("ignore", message="Stochastic Optimizer")
    main()
