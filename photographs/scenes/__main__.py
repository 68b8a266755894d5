"""Makes photographs of handwritten digits, and counts what `ffcl-gpu predict` makes of them.

    pip install numpy pillow
    python photographs/scenes make MNIST_DIR FOLDER [--seed S] [--each N] [SCENE…]
    python photographs/scenes count PROGRAM MODEL FOLDER [OPTION…]

The digits are among the last 10,000 training images of MNIST: train the model on fewer than 50,000. Each scene is a folder; a file's name
begins with the digits that it shows, from left to right, or with `none`. A scene's pictures depend on the seed and its name alone.
"""
import argparse
import json
import subprocess
import time
import zlib
from pathlib import Path

import numpy as np
from phone import Phone
from PIL import Image
from sheets import Sheets


class Scenes(Sheets, Phone):
    """All of them."""


NAMES = [name for part in (Sheets, Phone) for name in vars(part) if not name.startswith("_")]


def make(mnist, folder, seed, each, names):
    maker = Scenes(mnist)
    for name in names or NAMES:
        maker.random = np.random.default_rng([seed, zlib.crc32(name.encode())])
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(each):
            text, pixels = getattr(maker, name)()
            image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
            options = {"quality": int(maker.random.integers(50, 95))} | maker.saving.pop("options", {})
            image.save(folder / name / f"{text}_{index:02}.jpg", **options)


def count(program, model, folder, options):
    for scene in sorted(path for path in folder.iterdir() if path.is_dir()):
        command = [program, "predict", model, scene, "--json", *options]
        start = time.perf_counter()
        lines = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.splitlines()
        seconds = time.perf_counter() - start
        answers = {path.name: [] for path in scene.iterdir()}
        for line in map(json.loads, lines):
            answers[Path(line["file"]).name] += [digit["label"] for digit in line["digits"]]
        right = sum("".join(answer) == name.split("_")[0].replace("none", "") for name, answer in answers.items())
        print(f"{scene.name:<20}{right:>4} of {len(answers)}{seconds:>8.1f} s", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make")
    making.add_argument("mnist", type=Path)
    making.add_argument("folder", type=Path)
    making.add_argument("--seed", type=int, default=0)
    making.add_argument("--each", type=int, default=60)
    making.add_argument("names", nargs="*", metavar="SCENE", choices=[*NAMES, []])
    counting = commands.add_parser("count")
    counting.add_argument("program")
    counting.add_argument("model")
    counting.add_argument("folder", type=Path)
    given, options = parser.parse_known_args()
    if given.command == "make":
        make(given.mnist, given.folder, given.seed, given.each, given.names)
    else:
        count(given.program, given.model, given.folder, options)
