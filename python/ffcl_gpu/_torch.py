"""A trained model as a module of PyTorch, which need not be installed for anything else."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
from torch import nn

from . import _ffcl


class _Normalize(nn.Module):
    """Rows brought to the length √width."""

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        length = torch.sqrt((rows * rows).sum(dim=1, keepdim=True) + 1e-12)
        return rows / length * rows.shape[1] ** 0.5


class Ensemble(nn.Module):
    """The mean of the softmax outputs of all networks, of arrays of the shapes that `FFCLClassifier` takes.

    Bytes stand for 0 to 1. Flat rows of colour images hold one plane a colour, red first.
    """

    def __init__(self, networks: list[nn.Module], mean: np.ndarray, deviation: np.ndarray) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32))
        self.register_buffer("deviation", torch.as_tensor(deviation, dtype=torch.float32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        numbers = x.float() / 255 if x.dtype == torch.uint8 else x.float()
        if x.dim() == 4:
            numbers = numbers.permute(0, 3, 1, 2)
        rows = (numbers.flatten(1) - self.mean) / self.deviation
        return torch.stack([torch.softmax(network(rows), dim=1) for network in self.networks]).mean(dim=0)


def module(model: _ffcl.Model) -> Ensemble:
    """The module of a model."""
    description: dict[str, Any] = json.loads(model.description())
    networks: list[nn.Module] = []
    for layers in model.weights():
        parts: list[nn.Module] = []
        for index, (weight, bias) in enumerate(layers):
            linear = nn.Linear(weight.shape[1], weight.shape[0])
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(weight))
                linear.bias.copy_(torch.from_numpy(bias))
            parts.append(linear)
            if index + 1 < len(layers):
                parts.append(nn.ReLU())
                if description["normalize"]:
                    parts.append(_Normalize())
        networks.append(nn.Sequential(*parts))
    features = description.get("features")
    mean = features["mean"] if features else description["mean"]
    deviation = features["deviation"] if features else description["deviation"]
    return Ensemble(networks, np.asarray(mean), np.asarray(deviation))
