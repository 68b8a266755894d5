#!/usr/bin/env python3
"""The effective rank of the hidden layers of trained networks: exp of the entropy of the covariance's spectrum, on MNIST's test images, beside
the participation ratio that `ffcl-gpu train` reports itself (there on 512 images), and the mean cosine between different images.

    pip install numpy safetensors
    python studies/effective_rank.py data/mnist runs/first/model.safetensors ...
"""

import gzip
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file


def test_images(folder):
    for name in ("t10k-images-idx3-ubyte", "mnist/t10k-images-idx3-ubyte"):
        for path, opened in ((Path(folder, name), open), (Path(folder, name + ".gz"), gzip.open)):
            if path.is_file():
                with opened(path, "rb") as file:
                    return np.frombuffer(file.read(), np.uint8)[16:].reshape(-1, 784) / 255
    sys.exit(f"{folder} lacks t10k-images-idx3-ubyte (raw or .gz)")


def spread(activations):
    """Effective rank, participation ratio, mean cosine of different rows."""
    spectrum = np.clip(np.linalg.eigvalsh(np.cov(activations.T)), 0, None)
    shares = spectrum[spectrum > 0] / spectrum.sum()
    rows = activations / np.maximum(np.linalg.norm(activations, axis=1, keepdims=True), 1e-12)
    total, count = rows.sum(0), len(rows)
    cosine = (total @ total - (rows * rows).sum()) / (count * (count - 1))
    return np.exp(-(shares * np.log(shares)).sum()), 1 / (shares**2).sum(), cosine


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    images = test_images(sys.argv[1])
    for path in sys.argv[2:]:
        tensors = load_file(path)
        for model in "ab":
            activations, layer = images, 0
            while f"r0.{model}.layers.{layer + 1}.weight" in tensors:
                name = f"r0.{model}.layers.{layer}"
                activations = np.maximum(activations @ tensors[name + ".weight"].T + tensors[name + ".bias"], 0)
                rank, ratio, cosine = spread(activations)
                print(f"{path} {model} layer {layer + 1}: effective rank {rank:.2f}, participation ratio {ratio:.2f}, cosine {cosine:.4f}")
                layer += 1


if __name__ == "__main__":
    main()
