"""Writes classifier.pyi, whose parameters are those of the engine's table: `python -m ffcl_gpu._stubs`. A test holds it to them."""

from __future__ import annotations

import inspect
from pathlib import Path

from .classifier import FFCLClassifier

FILE = Path(__file__).with_name("classifier.pyi")


def text() -> str:
    """The stub as it should be."""
    lines = [
        "# Written by `python -m ffcl_gpu._stubs`.",
        "from os import PathLike",
        "from typing import Any",
        "",
        "import numpy as np",
        "from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin",
        "",
        "class FFCLClassifier(TransformerMixin, ClassifierMixin, BaseEstimator):",
    ]
    parameters = list(inspect.signature(FFCLClassifier).parameters.values())
    lines += [f"    {parameter.name}: Any" for parameter in parameters]
    lines += [
        "    classes_: np.ndarray",
        "    n_features_in_: int",
        "    history_: list[dict[str, Any]]",
        "    device_: str",
        "    def __init__(",
        "        self,",
    ]
    for index, parameter in enumerate(parameters):
        lines += ["        *,"] if index == 1 else []
        lines.append(f"        {parameter.name}: Any = {parameter.default!r},")
    lines += [
        "    ) -> None: ...",
        "    def fit(self, X: Any, y: Any) -> FFCLClassifier: ...",
        "    def predict(self, X: Any) -> np.ndarray: ...",
        "    def predict_proba(self, X: Any) -> np.ndarray: ...",
        "    def transform(self, X: Any, layer: int = -1) -> np.ndarray: ...",
        "    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray: ...",
        "    def save(self, path: str | PathLike[str]) -> None: ...",
        "    @classmethod",
        "    def load(cls, path: str | PathLike[str], **parameters: Any) -> FFCLClassifier: ...",
        "    def to_onnx(self, path: str | PathLike[str]) -> None: ...",
        "    def to_torch(self) -> Any: ...",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    FILE.write_text(text())
