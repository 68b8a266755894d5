#!/usr/bin/env python3
"""Do the book's lines of Python give the program's answers?

Takes the lines out of docs/guide/python.md, runs them on pictures and compares with `ffcl-gpu predict --raw --json`: the three best probabilities of A and
of B, of models with and without normalised layers and standardised pixels, also after the model was loaded and saved by safetensors.

    pip install numpy pillow safetensors
    python tests/external/book_logits.py target/release/ffcl-gpu
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import load_file, save_file

TOLERANCE = 2e-6
PICTURES = 50
MODELS = [["--normalize", "--standardize"], ["--recipe", "paper", "--epochs", "3"], []]

program = Path(sys.argv[1]).resolve()
chapter = (Path(__file__).parent.parent.parent / "docs/guide/python.md").read_text()
code = next(block for block in re.findall(r"```python\n(.*?)```", chapter, re.S) if "def logits(" in block)
exec(code)


def softmax(rows):
    powers = np.exp((rows - rows.max(axis=1, keepdims=True)).astype(np.float64))
    return powers / powers.sum(axis=1, keepdims=True)


def check(folder, options):
    run = folder / "-".join(["run", *options]).replace(" ", "")
    train = ["train", "--device", "cpu", "--epochs", "1", "--limit-train", "2000", "--quiet", "--no-report", "--out", run]
    if "--epochs" in options:
        train = train[:3] + train[5:]
    subprocess.run([program, *train, *options], check=True)
    again = folder / "again.safetensors"
    save_file(load_file(run / "model.safetensors"), again)
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (PICTURES, 28, 28), dtype=np.uint8)
    files = []
    for index, image in enumerate(images):
        files.append(folder / f"{index}.png")
        Image.fromarray(image).save(files[-1])
    ask = lambda model: subprocess.run(
        [program, "predict", model, *files, "--raw", "--json", "--device", "cpu"], check=True, capture_output=True).stdout
    said = ask(run)
    assert said == ask(again), "another answer after the model was loaded and saved"
    answers = [json.loads(line) for line in said.splitlines()]
    pixels = images.reshape(PICTURES, -1).astype(np.float32) / np.float32(255)
    worst = 0
    for network in "ab":
        found = softmax(logits(run / "model.safetensors", pixels, f"r0.{network}"))
        for row, answer in zip(found, answers):
            for entry in answer[network]:
                worst = max(worst, abs(row[int(entry["label"])] - entry["probability"]))
    print(f"{' '.join(options) or '(contrastive)':<32} worst difference of a probability {worst:.1e}")
    return worst <= TOLERANCE


with tempfile.TemporaryDirectory() as name:
    good = [check(Path(name), options) for options in MODELS]
print("PASS" if all(good) else "FAIL")
sys.exit(not all(good))
