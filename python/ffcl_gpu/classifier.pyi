# Written by `python -m ffcl_gpu._stubs`.
from os import PathLike
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin

class FFCLClassifier(TransformerMixin, ClassifierMixin, BaseEstimator):
    hidden: Any
    recipe: Any
    method: Any
    epochs: Any
    batch_size: Any
    learning_rate: Any
    replicas: Any
    device: Any
    random_state: Any
    validation_fraction: Any
    unlabelled: Any
    shuffle: Any
    max_steps: Any
    verbose: Any
    standardize: Any
    shift: Any
    rotation: Any
    scale: Any
    elastic: Any
    flip: Any
    shared_view: Any
    label_noise: Any
    labelled: Any
    output_loss: Any
    hidden_loss: Any
    centre: Any
    guide: Any
    projection: Any
    temperature: Any
    head_rate: Any
    normalize: Any
    dropout: Any
    trust: Any
    trust_rate: Any
    trust_ramp: Any
    pseudo_threshold: Any
    pseudo_ramp: Any
    schedule: Any
    classes_: np.ndarray
    n_features_in_: int
    history_: list[dict[str, Any]]
    device_: str
    def __init__(
        self,
        hidden: Any = (64, 64),
        *,
        recipe: Any = None,
        method: Any = None,
        epochs: Any = None,
        batch_size: Any = None,
        learning_rate: Any = None,
        replicas: Any = 1,
        device: Any = 'auto',
        random_state: Any = None,
        validation_fraction: Any = None,
        unlabelled: Any = None,
        shuffle: Any = True,
        max_steps: Any = None,
        verbose: Any = False,
        standardize: Any = None,
        shift: Any = None,
        rotation: Any = None,
        scale: Any = None,
        elastic: Any = None,
        flip: Any = None,
        shared_view: Any = None,
        label_noise: Any = None,
        labelled: Any = None,
        output_loss: Any = None,
        hidden_loss: Any = None,
        centre: Any = None,
        guide: Any = None,
        projection: Any = None,
        temperature: Any = None,
        head_rate: Any = None,
        normalize: Any = None,
        dropout: Any = None,
        trust: Any = None,
        trust_rate: Any = None,
        trust_ramp: Any = None,
        pseudo_threshold: Any = None,
        pseudo_ramp: Any = None,
        schedule: Any = None,
    ) -> None: ...
    def fit(self, X: Any, y: Any) -> FFCLClassifier: ...
    def predict(self, X: Any) -> np.ndarray: ...
    def predict_proba(self, X: Any) -> np.ndarray: ...
    def transform(self, X: Any, layer: int = -1) -> np.ndarray: ...
    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray: ...
    def save(self, path: str | PathLike[str]) -> None: ...
    @classmethod
    def load(cls, path: str | PathLike[str], **parameters: Any) -> FFCLClassifier: ...
    def to_onnx(self, path: str | PathLike[str]) -> None: ...
    def to_torch(self) -> Any: ...
