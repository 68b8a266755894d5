"""Accuracy and time beside scikit-learn's MLPClassifier of the same size: `python beside_mlp.py [seeds]`; FFCL_DATA_DIR for MNIST.

Both get float32 columns of mean 0 and deviation 1 and are as they come out of the box, but for the widths. One thread pool each, as they are.
"""

import gzip
import os
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ffcl_gpu import FFCLClassifier

warnings.simplefilter("ignore")
SEEDS = int(sys.argv[1]) if len(sys.argv) > 1 else 5
# To choose defaults by, part of what is for training takes the place of the test rows.
TUNE = os.environ.get("TUNE") == "1"


def mnist(count=10000):
    def idx(name, header):
        path = Path(os.environ["FFCL_DATA_DIR"])
        path = path / "mnist" if (path / "mnist").is_dir() else path
        file = path / name
        data = file.read_bytes() if file.exists() else gzip.decompress(file.with_name(name + ".gz").read_bytes())
        return np.frombuffer(data, np.uint8, offset=header)

    x = [idx(f"{part}-images-idx3-ubyte", 16).reshape(-1, 784).astype(np.float32) for part in ("train", "t10k")]
    y = [idx(f"{part}-labels-idx1-ubyte", 8) for part in ("train", "t10k")]
    return x[0][:count], x[1], y[0][:count], y[1]


def sets():
    for name, load in [("wine", load_wine), ("breast cancer", load_breast_cancer), ("digits", load_digits)]:
        x, y = load(return_X_y=True)
        for seed in range(SEEDS):
            yield name, seed, train_test_split(x.astype(np.float32), y, random_state=seed, stratify=y)
    if "FFCL_DATA_DIR" in os.environ:
        for seed in range(SEEDS):
            yield "MNIST, 10,000", seed, mnist()


rows = {}
for name, seed, (x_train, x_test, y_train, y_test) in sets():
    if TUNE:
        x_train, x_test, y_train, y_test = train_test_split(x_train, y_train, random_state=99 + seed, stratify=y_train)
    for kind, model in [
        ("ffcl", FFCLClassifier(random_state=seed, device=os.environ.get("FFCL_DEVICE", "cpu"))),
        ("mlp", make_pipeline(StandardScaler(), MLPClassifier((64, 64), random_state=seed))),
    ]:
        begin, processor = time.perf_counter(), time.process_time()
        model.fit(x_train, y_train)
        took = time.perf_counter() - begin, time.process_time() - processor
        rows.setdefault((name, kind), []).append((100 * model.score(x_test, y_test), *took))

print("| data | ffcl-gpu % | MLPClassifier % | difference | ffcl-gpu s | MLPClassifier s | processor s |")
print("|---|---|---|---|---|---|---|")
for name in dict.fromkeys(name for name, _ in rows):
    ours, theirs = (np.array(rows[name, kind]) for kind in ("ffcl", "mlp"))
    spread = [f"{part[:, 0].mean():.2f} ± {part[:, 0].std(ddof=1):.2f}" for part in (ours, theirs)]
    seconds = [f"{np.median(part[:, 1]):.2f}" for part in (ours, theirs)]
    processor = [f"{np.median(part[:, 2]):.2f}" for part in (ours, theirs)]
    difference = (ours[:, 0] - theirs[:, 0]).mean()
    print(f"| {name} | {spread[0]} | {spread[1]} | {difference:+.2f} | {seconds[0]} | {seconds[1]} | {processor[0]}, {processor[1]} |")
