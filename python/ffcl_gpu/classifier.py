"""The estimator for scikit-learn."""

from __future__ import annotations

import inspect
import json
import math
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_is_fitted, column_or_1d, validate_data

from . import _ffcl
from ._arrays import as_rows, check_finite
from ._options import options
from .trainer import Trainer

# What the estimator has beside the table of options, or under the names that scikit-learn has for it.
_OWN: dict[str, Any] = {
    "hidden": (64, 64),
    "recipe": None,
    "method": None,
    "epochs": None,
    "batch_size": None,
    "learning_rate": None,
    "replicas": 1,
    "device": "auto",
    "random_state": None,
    "validation_fraction": None,
    "unlabelled": None,
    "shuffle": True,
    "max_steps": None,
    "verbose": False,
}
# The widths of both ends are the data's.
_TABLE = [name for name in options() if name not in _OWN and name != "layers"]
_DEFAULTS: dict[str, Any] = {**_OWN, **dict.fromkeys(_TABLE)}

# Where nothing is asked for: so many steps at least, in so many epochs at most.
_STEPS = 1500
_EPOCHS = (30, 200)


class FFCLClassifier(TransformerMixin, ClassifierMixin, BaseEstimator):
    """Two networks that guide each other, trained layer by layer without backpropagation.

    Parameters
    ----------
    hidden : tuple of int, default (64, 64)
        Widths of the hidden layers.
    recipe : str, optional
        A named set of options: "contrastive" (the default), "heads", "paper", "centred", "ffcl3".
    method : str, optional
        How the networks learn, such as "backprop" for a baseline on the same machinery.
    epochs : int, optional
        Passes over the training set. Default: 30, and on small data up to 200, until there are 1500 steps.
    batch_size : int, optional
        Rows in a step, at most as many as there are. Default: 128, on small data less, so that an epoch has some 16 steps, but at least 8.
    learning_rate : float, optional
        Of Adam, at the beginning.
    replicas : int, default 1
        Independent pairs, trained side by side; answers are means over all of them.
    device : str, default "auto"
        "auto" (the best GPU, else the processor), "cpu", "gpu" (a software adapter, too), a number, or a part of a name.
    random_state : int, RandomState or None
        An int is the seed of the first replica, as `ffcl-gpu train --seed`.
    validation_fraction : float, optional
        Share of each class's rows that is not trained on, but measured on after each epoch (`test_…` in `history_`).
    unlabelled : optional
        What stands in y for "no label", such as -1, which scikit-learn's semi-supervised estimators take for it. Such rows are learned
        from, too, by what the networks take them for. Without it every value of y is a class.
    shuffle : bool, default True
        A fresh order of the rows in each epoch.
    max_steps : int, optional
        Stop after so many steps.
    verbose : bool, default False
        A line for each epoch, or tqdm's bar where that is installed.

    Attributes
    ----------
    classes_ : array [classes]
        The labels.
    n_features_in_ : int
        Numbers in a row.
    history_ : list of dict
        For each epoch and replica what `metrics.jsonl` has. Loss is in nats; `seconds` is wall time.
    device_ : str
        Where it was trained.
    trust_ : array [n]
        With `trust`: the share of layers and networks that called a row worth learning from when they saw it last. NaN where a row was
        not trained on.
    suspects_ : array
        With `trust`: rows that most hidden layers of most networks take for another class, those with the largest mean loss first, as
        `ffcl-gpu audit` has them.

    X may be `[n, features]`, `[n, height, width]` or `[n, height, width, channels]`. uint8 counts as images (numbers from 0 to 1); all else is
    float32 features, each standardised by mean and deviation of the training rows unless `standardize=False`.
    """

    def __init__(self, hidden: Any = (64, 64), **given: Any) -> None:
        unknown = [name for name in given if name not in _DEFAULTS]
        if unknown:
            raise TypeError(f"FFCLClassifier has no parameter {unknown[0]!r}; it has {', '.join(_DEFAULTS)}")
        given["hidden"] = hidden
        for name, default in _DEFAULTS.items():
            setattr(self, name, given.get(name, default))

    # scikit-learn reads the parameters from here; they are those of the engine's table.
    __init__.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
        + [
            inspect.Parameter(
                name,
                inspect.Parameter.POSITIONAL_OR_KEYWORD if name == "hidden" else inspect.Parameter.KEYWORD_ONLY,
                default=default,
            )
            for name, default in _DEFAULTS.items()
        ]
    )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    def fit(self, X: Any, y: Any) -> FFCLClassifier:
        """Trains on rows X and labels y [n]."""
        X = self._rows_to_learn(X)
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        if len(y) != len(X):
            raise ValueError(f"y has {len(y)} labels, and X has {len(X)} rows; give a label for each")
        has_label = np.ones(len(y), dtype=bool) if self.unlabelled is None else y != self.unlabelled
        classes = np.unique(y[has_label])
        if len(classes) < 2:
            raise ValueError(f"y has {len(classes)} class; a classifier needs 2 classes or more")
        validation = self._validation_rows(y, classes)
        count = len(X) - (0 if validation is None else len(validation))
        batch = self.batch_size
        if batch is None:
            batch = min(128, max(8, count // 16))
        batch = min(int(batch), count)
        epochs = self.epochs
        if epochs is None:
            epochs = int(np.clip(-(-_STEPS // max(1, count // batch)), *_EPOCHS))
        config = {name: getattr(self, name) for name in [*_TABLE, "recipe", "method", "learning_rate", "replicas", "shuffle"]}
        config |= {"device": str(self.device), "max_steps": self.max_steps, "batch_size": batch, "epochs": epochs}
        config |= {"hidden": np.asarray(self.hidden, dtype=int).reshape(-1).tolist(), "seed": self._seed()}
        trainer = _Training(config, X, y, validation=validation, unlabelled=self.unlabelled)
        show = _Show(self.verbose, trainer, epochs)
        for reports in trainer:
            show(reports)
        show.close()
        self.classes_ = trainer.classes_
        self.device_ = trainer.device
        self.history_ = trainer.history_
        if validation is None:
            # What was measured on training rows is no test.
            self.history_ = [{key: value for key, value in report.items() if not key.startswith("test_")} for report in self.history_]
        for name in ("trust_", "suspects_"):
            self.__dict__.pop(name, None)
        if self.trust is not None and self.trust != "none":
            self.trust_, _ = trainer.trust()
            self.suspects_ = trainer.suspects()
        self._model = trainer.model()
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The most probable label of each row [n]."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities [n, classes] in the order of `classes_`: the mean of all networks."""
        check_is_fitted(self, "_model")
        rows = self._rows_to_ask(X)
        # float64, whose rows sum to 1 for everybody who checks that.
        probabilities = self._model.probabilities(rows, str(self.device)).astype(np.float64)
        return probabilities / probabilities.sum(axis=1, keepdims=True)

    def transform(self, X: Any, layer: int = -1) -> np.ndarray:
        """What a hidden layer gives [n, networks · width], networks side by side; `layer` counts from 0, -1 is the last hidden one."""
        check_is_fitted(self, "_model")
        rows = self._rows_to_ask(X)
        description = json.loads(self._model.description())
        networks = self._model.weights()
        hidden = len(networks[0]) - 1
        if not -hidden <= layer < hidden:
            raise ValueError(f"layer {layer} is not one of the {hidden} hidden layers; give {-hidden} to {hidden - 1}")
        layer %= hidden
        # In double precision, rounded once: products of single ones are summed in an order that depends on where a row stands.
        rows = _standardized(rows, description).astype(np.float64)
        outputs = []
        for layers in networks:
            values = rows
            for index, (weight, bias) in enumerate(layers[: layer + 1]):
                if index and description["normalize"]:
                    length = np.sqrt((values * values).sum(axis=1, keepdims=True) + 1e-12)
                    values = values / length * values.shape[1] ** 0.5
                values = np.maximum(values @ weight.T + bias, 0)
            outputs.append(values.astype(np.float32))
        return np.hstack(outputs)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of what `transform` gives."""
        check_is_fitted(self, "_model")
        width = sum(layers[-1][0].shape[1] for layers in self._model.weights())
        return np.asarray([f"ffcl{index}" for index in range(width)], dtype=object)

    def save(self, path: str | PathLike[str]) -> None:
        """Writes the model as a safetensors file, which `ffcl-gpu evaluate`, `predict` and `export` read."""
        check_is_fitted(self, "_model")
        Path(path).write_bytes(self._model.file())

    @classmethod
    def load(cls, path: str | PathLike[str], **parameters: Any) -> FFCLClassifier:
        """A model of `save`, of the program's safetensors files, or of a run's folder. Labels are ints if all names of classes are."""
        path = Path(path)
        if path.is_dir():
            path = path / "model.safetensors"
        self = cls(**parameters)
        self._model = _ffcl.Model(path.read_bytes())
        description = json.loads(self._model.description())
        names = description["classes"]
        is_number = all(name.lstrip("-").isdigit() for name in names)
        self.classes_ = np.asarray([int(name) for name in names] if is_number else names)
        self.n_features_in_ = math.prod(description["image"].values())
        self.history_ = []
        return self

    def to_onnx(self, path: str | PathLike[str]) -> None:
        """Writes an ONNX file: input `features` or `pixels` [batch, numbers], outputs `logits` and `probabilities` [batch, classes].

        Pixels run from 0 to 1; those of colour images stand in one plane a colour, red first.
        """
        check_is_fitted(self, "_model")
        self._model.to_onnx(Path(path))

    def to_torch(self) -> Any:
        """A torch.nn.Module: from what `predict_proba` takes, as a tensor, to probabilities [n, classes].

        Floats of images run from 0 to 1. Flat rows of colour images hold one plane a colour, as PyTorch's images do.
        """
        check_is_fitted(self, "_model")
        from ._torch import module

        return module(self._model)

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__()

    def _rows_to_learn(self, X: Any) -> np.ndarray:
        if _is_table(X):
            X = validate_data(self, X, dtype=_dtypes(X), ensure_min_samples=2)
            rows, _ = as_rows(X)
            check_finite(rows)
            return X
        X = check_array(X, dtype=_dtypes(X), allow_nd=True, ensure_2d=False, ensure_min_samples=2)
        rows, _ = as_rows(X)
        self.n_features_in_ = rows.shape[1]
        if hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        return X

    def _rows_to_ask(self, X: Any) -> np.ndarray:
        if _is_table(X):
            X = validate_data(self, X, dtype=_dtypes(X), reset=False)
        else:
            X = check_array(X, dtype=_dtypes(X), allow_nd=True, ensure_2d=False)
        rows, _ = as_rows(X)
        check_finite(rows)
        if rows.shape[1] != self.n_features_in_:
            raise ValueError(f"X has {rows.shape[1]} features, but FFCLClassifier is expecting {self.n_features_in_} features as input")
        images = json.loads(self._model.description()).get("features") is None
        if images and rows.dtype != np.uint8:
            raise ValueError(f"X has numbers of the type {rows.dtype}, and the model learnt from uint8; give images as it learnt them")
        return rows if images else rows.astype(np.float32, copy=False)

    def _validation_rows(self, y: np.ndarray, classes: np.ndarray) -> np.ndarray | None:
        fraction = self.validation_fraction
        if fraction is None or fraction == 0:
            return None
        if not 0 < fraction < 1:
            raise ValueError(f"validation_fraction {fraction} is out of range; give a number between 0 and 1")
        random = check_random_state(self.random_state)
        rows = []
        for label in classes:
            own = random.permutation(np.flatnonzero(y == label))
            rows.append(own[: min(len(own) - 1, max(1, round(fraction * len(own))))])
        return np.sort(np.concatenate(rows))

    def _seed(self) -> int:
        if isinstance(self.random_state, (int, np.integer)):
            return int(self.random_state)
        return int(check_random_state(self.random_state).randint(2**31))


class _Training(Trainer):
    # Parameters of another recipe change nothing, as in scikit-learn's own estimators: a grid of recipes and temperatures is one grid.
    _idle_allowed = True


class _Show:
    """Says where a run stands."""

    def __init__(self, verbose: Any, trainer: Trainer, epochs: int) -> None:
        self.bar, self.verbose = None, verbose
        if verbose:
            try:
                from tqdm.auto import tqdm
            except ImportError:
                return
            self.bar = tqdm(total=epochs, unit="epoch")

    def __call__(self, reports: list[dict[str, Any]]) -> None:
        accuracy = reports[0]["train_accuracy"]
        if self.bar is not None:
            self.bar.update()
            self.bar.set_postfix(accuracy=f"{accuracy:.4f}")
        elif self.verbose:
            print(f"epoch {reports[0]['epoch']}: training accuracy {accuracy:.4f}")

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def _is_table(X: Any) -> bool:
    """Whether scikit-learn's own checks are for it; others are images in arrays of more dimensions."""
    return getattr(X, "ndim", 2) in (0, 1, 2)


def _dtypes(X: Any) -> Any:
    """bytes and float32 stay as they are; scikit-learn converts all else to the last of them."""
    return [np.uint8, np.float32] if getattr(X, "dtype", None) == np.uint8 else np.float32


def _standardized(rows: np.ndarray, description: dict[str, Any]) -> np.ndarray:
    """As the engine does it: in float64, rounded once."""
    features = description.get("features")
    if features is None:
        values = (rows / 255.0 - description["mean"]) / description["deviation"]
    else:
        values = (rows.astype(np.float64) - np.asarray(features["mean"])) / np.asarray(features["deviation"])
    return values.astype(np.float32)
