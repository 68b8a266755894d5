"""MNIST in ten lines. FFCL_DATA_DIR names a folder with its four IDX files, or with a folder mnist that has them."""

import gzip
import os
import sys
from pathlib import Path

import numpy as np

from ffcl_gpu import FFCLClassifier


def idx(name: str, header: int) -> np.ndarray:
    folder = Path(os.environ.get("FFCL_DATA_DIR", "."))
    for path in (folder / name, folder / "mnist" / name):
        for whole, opened in ((path, open), (path.with_name(path.name + ".gz"), gzip.open)):
            if whole.exists():
                with opened(whole, "rb") as file:
                    return np.frombuffer(file.read(), np.uint8, offset=header)
    print(f"skipped: FFCL_DATA_DIR holds no {name}")
    sys.exit(77)


x_train, y_train = idx("train-images-idx3-ubyte", 16).reshape(-1, 28, 28), idx("train-labels-idx1-ubyte", 8)
x_test, y_test = idx("t10k-images-idx3-ubyte", 16).reshape(-1, 28, 28), idx("t10k-labels-idx1-ubyte", 8)
model = FFCLClassifier(hidden=(64, 64), epochs=2, random_state=0)
model.fit(x_train, y_train)
print(f"{model.device_}: {100 * model.score(x_test, y_test):.2f} % of the test images are right")
