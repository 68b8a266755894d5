"""Trains a small model through the program, exports it, and compares what onnxruntime says with the same networks in PyTorch.

    pip install torch numpy safetensors onnx onnxruntime
    cargo build --release
    python tests/external/onnx_check.py --binary target/release/ffcl-gpu --data-dir data/mnist
"""

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from safetensors import safe_open


def arguments():
    parser = argparse.ArgumentParser(description="Compares exported networks in onnxruntime with PyTorch.")
    parser.add_argument("--binary", type=Path, default=Path("target/release/ffcl-gpu"), help="the program")
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with MNIST's IDX files, gzipped")
    parser.add_argument("--tolerance", type=float, default=1e-5, help="of the logits, relative to the largest")
    return parser.parse_args()


def read_idx(folder, name, header):
    paths = [folder / sub / (name + ".gz") for sub in ("", "mnist")]
    path = next((path for path in paths if path.is_file()), None) or sys.exit(f"{folder} lacks {name}.gz")
    return np.frombuffer(gzip.open(path).read(), np.uint8)[header:]


def call(options, *words):
    done = subprocess.run([options.binary.resolve(), *map(str, words)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, words))} failed: {done.stderr}")
    return done.stdout


def torch_logits(file, description, slot, pixels):
    """The forward pass of one network, in PyTorch's linear layers, from the weights of the safetensors file."""
    x = (torch.tensor(pixels) - description["mean"]) / description["deviation"]
    replica, letter = slot
    depth = len(description["architecture"]["layers"])
    for layer in range(depth):
        weight = torch.tensor(file.get_tensor(f"r{replica}.{letter}.layers.{layer}.weight"))
        linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
        bias = torch.tensor(file.get_tensor(f"r{replica}.{letter}.layers.{layer}.bias"))
        linear.load_state_dict({"weight": weight, "bias": bias})
        x = linear.to(x.dtype)(x)
        if layer + 1 < depth:
            x = torch.relu(x)
            if description["normalize"]:
                x = x * x.shape[1] ** 0.5 / ((x * x).sum(1, keepdim=True) + 1e-12).sqrt()
    return x.detach()


def reference(file, description, slots, pixels):
    """Logits: of one network its own, of several the logarithm of the mean of their softmax outputs."""
    logits = [torch_logits(file, description, slot, pixels) for slot in slots]
    if len(logits) == 1:
        return logits[0].numpy()
    return (torch.logsumexp(torch.stack([torch.log_softmax(each, 1) for each in logits]), 0) - np.log(len(logits))).numpy()


def check(options, folder, name, train_options, images, labels):
    run = folder / name
    call(options, "train", "--dataset", "mnist", "--data-dir", options.data_dir, "--device", "cpu", "--limit-train", 6000,
         "--epochs", 2, "--quiet", "--out", run, *train_options)
    model, passed = run / "model.safetensors", True
    with safe_open(model, "numpy") as file:
        description = json.loads(file.metadata()["ffcl-gpu"])["model"]
        evaluation = json.loads(call(options, "evaluate", run, "--data-dir", options.data_dir, "--device", "cpu", "--json"))
        pixels = (images / 255).astype(np.float32)
        for network, letters in (("a", "a"), ("b", "b"), ("ensemble", "ab")):
            path = folder / f"{name}-{network}.onnx"
            call(options, "export", run, path, "--network", network)
            onnx.checker.check_model(onnx.load(path), full_check=True)
            session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
            slots = [(replica, letter) for replica in range(description["replicas"]) for letter in letters]
            logits, probabilities = session.run(["logits", "probabilities"], {"pixels": pixels})
            single, double = (reference(file, description, slots, pixels.astype(kind)) for kind in (np.float32, np.float64))
            worst = np.abs(logits - double).max() / np.abs(double).max()
            worst_torch = np.abs(single - double).max() / np.abs(double).max()
            mass = np.abs(probabilities - torch.softmax(torch.tensor(double), 1).numpy()).max()
            # A batch of one is another size.
            alone = np.abs(session.run(["logits"], {"pixels": pixels[:1]})[0] - logits[:1]).max()
            key = {"a": "accuracy_a", "b": "accuracy_b", "ensemble": "accuracy"}[network]
            right = [int((each.argmax(1) == labels).sum()) for each in (logits, single)] + [round(evaluation[key] * len(labels))]
            good = worst <= options.tolerance and mass <= options.tolerance and alone <= 1e-4 and right[1] == right[2]
            good &= abs(right[0] - right[2]) <= 1
            passed &= bool(good)
            print(f"{name:24}{network:10}{worst:9.1e}{worst_torch:9.1e}{mass:9.1e}   {right[0]} {right[1]} {right[2]}  "
                  f"{'ok' if good else 'FAIL'}")
        confusion = np.zeros((10, 10), int)
        np.add.at(confusion, (labels, single.argmax(1)), 1)
        if confusion.tolist() != evaluation["confusion"]:
            passed = False
            print(f"{name}: the confusion matrices differ")
    return passed


def main():
    options = arguments()
    images = read_idx(options.data_dir, "t10k-images-idx3-ubyte", 16).reshape(-1, 784)
    labels = read_idx(options.data_dir, "t10k-labels-idx1-ubyte", 8)
    print(f"onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}, PyTorch {torch.__version__}")
    print("differences from PyTorch float64, relative to the largest logit, and absolute of the probabilities; right answers of 10000")
    print(f"{'model':24}{'network':10}{'onnx':>9}{'torch 32':>9}{'prob.':>9}   onnx torch evaluate")
    cases = [("contrastive", []), ("standardised", ["--standardize"]), ("plain, three pairs", ["--recipe", "paper", "--replicas", 3]),
             ("deep, standardised", ["--standardize", "--layers", "784,50,40,30,10"]), ("linear", ["--layers", "784,10"])]
    with tempfile.TemporaryDirectory() as folder:
        passed = [check(options, Path(folder), name, words, images, labels) for name, words in cases]
    print("PASS" if all(passed) else "FAIL")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
