#!/usr/bin/env python3
"""Do ten training steps of ffcl-gpu agree with PyTorch?

Both start from the same random weights and see the same MNIST images in the same order. PyTorch takes the steps by autograd and
torch.optim.Adam, in float64 and in float32, from the method's definition alone; no gradient formula is shared. Afterwards each
tensor is compared by max|difference| / max|parameter|, and the mean loss of each layer by its relative difference. PASS means
that all of these, against float64, are within the tolerance.

How to read the table: "way" is how far PyTorch moved the tensor, in the same unit, so a difference far below it means the same
steps. "torch 32-64" is how far float32 PyTorch itself is from float64. Adam divides a gradient by its own size plus 1e-8, so that
a lone weight whose first gradient happens to be smaller than that turns rounding noise into a part of a whole step. With some
seeds one such weight alone exceeds the tolerance; a mistake in the method shows in many weights, which is why the verdict counts
them, or in a loss.

Every method is there but ffcl3, whose pairs are drawn at random, and so is every loss of hidden layers with a guide. Options are the
program's, and begin at its recipe `paper`; the learning rate is constant and images are as they are.

    pip install torch safetensors numpy
    cargo build --release
    python tests/external/pytorch_parity.py --binary target/release/ffcl-gpu --data-dir data/mnist --device gpu
"""

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file, save_file


def arguments():
    parser = argparse.ArgumentParser(description="Compares training steps of ffcl-gpu with PyTorch's.")
    parser.add_argument("--binary", type=Path, default=Path("target/release/ffcl-gpu"), help="the program")
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with MNIST's IDX files, raw or gzipped")
    parser.add_argument("--device", default="cpu", help="where the program computes: cpu, gpu, or what `ffcl-gpu devices` lists")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--layers", type=lambda text: [int(width) for width in text.split(",")], default="784,64,64,10")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--method", choices=["local", "frozen-partner", "independent", "backprop"], default="local")
    parser.add_argument("--hidden-loss", choices=["cosine", "prototypes"], default="cosine")
    parser.add_argument("--guide", choices=["partner", "own"], default="partner")
    parser.add_argument("--projection", type=int, default=0, help="width; 0 for none")
    parser.add_argument("--temperature", type=float, default=0.1)
    parser.add_argument("--normalize", action="store_true")
    parser.add_argument("--output-loss", choices=["binary-cross-entropy", "cross-entropy"], default="binary-cross-entropy")
    parser.add_argument("--centre", action="store_true")
    parser.add_argument("--seed", type=int, default=1, help="of the start weights")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    return parser.parse_args()


def read_idx(folder, name, header, count):
    """The first `count` bytes behind the header of an IDX file in `folder` or its subfolder mnist."""
    paths = [folder / sub / (name + end) for sub in ("", "mnist") for end in ("", ".gz")]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        sys.exit(f"{folder} lacks {name} (raw or .gz)")
    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
        content = np.frombuffer(file.read(header + count), np.uint8)[header:]
    if len(content) < count:
        sys.exit(f"{path} is too short for --steps times --batch-size images")
    return content


def has_hidden_losses(options):
    return options.method in ("local", "frozen-partner")


def start_weights(options):
    """Uniform in ±1/sqrt(fan_in), and projections normal with variance 1/fan_in, under the names that ffcl-gpu gives them."""
    random, tensors, layers = np.random.default_rng(options.seed), {}, options.layers
    for model in "ab":
        for layer, (inputs, outputs) in enumerate(zip(layers, layers[1:])):
            for kind, shape in (("weight", (outputs, inputs)), ("bias", (outputs,))):
                values = random.uniform(-1, 1, shape) / np.sqrt(inputs)
                tensors[f"r0.{model}.layers.{layer}.{kind}"] = values.astype(np.float32)
        if has_hidden_losses(options) and options.hidden_loss == "prototypes" and options.projection > 0:
            for layer, width in enumerate(layers[1:-1]):
                values = random.standard_normal((options.projection, width)) / np.sqrt(width)
                tensors[f"r0.{model}.projections.{layer}.weight"] = values.astype(np.float32)
    return tensors


def hidden_options(options):
    """The options of this hidden loss: the program refuses those that would change nothing."""
    if not has_hidden_losses(options):
        return []
    match options.hidden_loss:
        case "cosine":
            return ["--centre"] if options.centre else []
        case "prototypes":
            return ["--guide", options.guide, "--projection", str(options.projection), "--temperature", str(options.temperature)]
    return []


def run_program(options, start):
    """Tensors, mean loss of each layer and the device's name after the program's run."""
    with tempfile.TemporaryDirectory() as folder:
        first, out = Path(folder, "start.safetensors"), Path(folder, "run")
        save_file(start, first)
        done = subprocess.run([
            options.binary.resolve(), "train", "--dataset", "mnist", "--data-dir", options.data_dir, "--device", options.device,
            "--init-from", first, "--out", out, "--no-shuffle", "--epochs", "1", "--max-steps", str(options.steps),
            "--layers", ",".join(map(str, options.layers)), "--batch-size", str(options.batch_size), "--learning-rate", "1e-4",
            "--output-loss", options.output_loss, "--quiet", "--recipe", "paper", "--method", options.method,
            "--hidden-loss", options.hidden_loss, *hidden_options(options), *(["--normalize"] if options.normalize else [])])
        if done.returncode != 0:
            sys.exit(f"{options.binary} failed with exit code {done.returncode}")
        losses = json.loads((out / "metrics.jsonl").read_text())["layer_losses"]
        device = json.loads((out / "config.json").read_text())["device"]
        return load_file(out / "model.safetensors"), np.array(losses), f"{device['backend']}, {device['name']}"


def cosine_loss(own, partner):
    """1 − cos of each row with the partner's, which is a constant; ε = 1e-12 keeps a row of zeros finite."""
    norms = ((own * own).sum(1) + 1e-12) * ((partner * partner).sum(1) + 1e-12)
    return (1 - (own * partner).sum(1) / norms.sqrt()).mean()


def unit(rows):
    """Each row over its length; ε = 1e-12 keeps a row of zeros finite."""
    return rows / ((rows * rows).sum(1, keepdim=True) + 1e-12).sqrt()


def prototype_loss(own, guide, labels, options):
    """Cross-entropy over the cosines to the mean directions of the guide's rows of each class in the batch, which are constants."""
    present, targets = torch.unique(labels, return_inverse=True)
    prototypes = torch.stack([unit(guide)[labels == label].sum(0) for label in present])
    return F.cross_entropy(unit(own) @ unit(prototypes).detach().T / options.temperature, targets)


def hidden_losses(options, parameters, layer, z, labels):
    """The losses of one hidden layer in both models."""
    if not has_hidden_losses(options):
        return [torch.zeros((), dtype=each.dtype) for each in z]
    if options.hidden_loss == "prototypes":
        p = [F.relu(each) for each in z]
        if options.projection > 0:
            p = [F.linear(each, parameters[f"r0.{model}.projections.{layer}.weight"]) for each, model in zip(p, "ab")]
        guides = p if options.guide == "own" else p[::-1]
        return [prototype_loss(own, guide, labels, options) for own, guide in zip(p, guides)]
    u = [F.relu(each) for each in z]
    if options.centre:
        u = [each - each.mean(0).detach() for each in u]
    return [cosine_loss(u[0], u[1].detach()), cosine_loss(u[1], u[0].detach())]


def layer_losses(options, parameters, images, labels):
    """The losses of both models, `[layer][model]`. The graph of each holds nothing but its own layer, or with backprop its model."""
    inputs, losses, last = [images, images], [], len(options.layers) - 2
    for layer in range(last + 1):
        names = [f"r0.{model}.layers.{layer}" for model in "ab"]
        z = [F.linear(x, parameters[name + ".weight"], parameters[name + ".bias"]) for x, name in zip(inputs, names)]
        if layer < last:
            losses += hidden_losses(options, parameters, layer, z, labels)
            inputs = [F.relu(each) for each in z]
            if options.normalize:
                inputs = [unit(each) * options.layers[layer + 1] ** 0.5 for each in inputs]
            if options.method != "backprop":
                inputs = [each.detach() for each in inputs]
        elif options.output_loss == "cross-entropy":
            losses += [F.cross_entropy(each, labels) for each in z]
        else:
            target = F.one_hot(labels, options.layers[-1]).to(images.dtype)
            losses += [F.binary_cross_entropy(F.softmax(each, 1), target) for each in z]
    return torch.stack(losses).reshape(-1, 2)


def run_torch(options, start, images, labels, dtype):
    """Tensors and mean loss of each layer after the same steps in PyTorch."""
    parameters = {name: torch.tensor(values, dtype=dtype, requires_grad=True) for name, values in start.items()}
    moving = [tensor for name, tensor in parameters.items() if options.method != "frozen-partner" or ".a." in name]
    adam = torch.optim.Adam(moving, lr=1e-4, betas=(0.9, 0.999), eps=1e-8)
    total = 0
    for batch in np.split(np.arange(len(images)), options.steps):
        losses = layer_losses(options, parameters, torch.tensor(images[batch], dtype=dtype), torch.tensor(labels[batch]).long())
        adam.zero_grad()
        losses.sum().backward()
        adam.step()
        total = total + losses.detach().mean(1).double()
    return {name: tensor.detach().numpy() for name, tensor in parameters.items()}, (total / options.steps).numpy()


def describe(options):
    """What else was asked for, in words."""
    hidden = "centred" if options.centre else "activations"
    if options.hidden_loss == "prototypes":
        hidden = f"prototypes of the {options.guide} network, projection {options.projection}, temperature {options.temperature}"
    parts = [options.output_loss, *([hidden] if has_hidden_losses(options) else []), *(["normalized"] if options.normalize else [])]
    return ", ".join(parts)


def main():
    options = arguments()
    if not options.binary.is_file():
        sys.exit(f"there is no {options.binary}; build it with cargo build --release")
    count = options.steps * options.batch_size
    pixels = read_idx(options.data_dir, "train-images-idx3-ubyte", 16, count * 784).reshape(count, 784)
    labels = read_idx(options.data_dir, "train-labels-idx1-ubyte", 8, count)
    images = (pixels / 255).astype(np.float32)
    start = start_weights(options)
    program, program_losses, device = run_program(options, start)
    double, double_losses = run_torch(options, start, images, labels, torch.float64)
    single, single_losses = run_torch(options, start, images, labels, torch.float32)

    print(f"ffcl-gpu ({device}) and PyTorch {torch.__version__}: {options.steps} steps, batch {options.batch_size}, "
          f"layers {options.layers}, {options.method}, {describe(options)}")
    print(f"{'':26}{'way':>9}{'torch 64':>10}{'torch 32':>10}{'torch 32-64':>13}")
    rows, beyond = [], 0
    for name, reference in double.items():
        differences = [start[name] - reference, program[name] - reference, program[name] - single[name], single[name] - reference]
        rows.append([np.abs(difference).max() / np.abs(reference).max() for difference in differences])
        beyond += np.count_nonzero(~(np.abs(differences[1]) <= options.tolerance * np.abs(reference).max()))
        print(f"{name:26}" + "{:9.1e}{:10.1e}{:10.1e}{:13.1e}".format(*rows[-1]))
    for layer, reference in enumerate(double_losses):
        one, other = program_losses[layer], single_losses[layer]
        scale = reference or 1.0  # a layer without a loss has none on either side
        rows.append([0, *(abs(difference) / scale for difference in (one - reference, one - other, other - reference))])
        print(f"{f'loss {layer} {reference:.4e}':35}" + "{:10.1e}{:10.1e}{:13.1e}".format(*rows[-1][1:]))
    worst = np.max(rows, axis=0)
    passed = bool(worst[1] <= options.tolerance)  # false for NaN as well
    print(f"{'PASS' if passed else 'FAIL'}: worst against torch float64 {worst[1]:.1e}, tolerance {options.tolerance:.0e} "
          f"(against float32 {worst[2]:.1e}; float32 against float64 {worst[3]:.1e}); "
          f"{beyond} of {sum(tensor.size for tensor in start.values())} parameters beyond it")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
