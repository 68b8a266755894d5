"""Runs epoch by epoch, for loops of one's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from . import _ffcl
from ._arrays import as_rows, check_finite
from ._options import as_json

_EXTENT = ("seed", "replicas", "shuffle", "max_steps", "device")


class Trainer:
    """A run that goes on epoch by epoch.

    >>> trainer = Trainer({"hidden": (64, 64), "epochs": 5}, x, y)          # doctest: +SKIP
    >>> for reports in trainer:                                              # doctest: +SKIP
    ...     print(reports[0]["epoch"], reports[0]["train_accuracy"])

    Parameters
    ----------
    config : dict
        Options of `ffcl-gpu train` by their names (`ffcl_gpu.options()`), and `seed`, `replicas`, `shuffle`, `max_steps`, `device`
        ("auto", "cpu", "gpu", a number or a part of a name). What is not given is the recipe's.
    X : array [n, features], [n, height, width] or [n, height, width, channels]
        uint8: images, whose bytes count as numbers from 0 to 1. Others: features, as float32, each standardised by its own mean and
        deviation unless `standardize` is False. A C-contiguous float32 array is not copied, but to the device.
    y : array [n]
        Labels of any kind, 2 to 256 different ones.
    validation : array of int, optional
        Rows of X that are not trained on, but measured on after each epoch. Without them the reports' `test_…` are about the first
        training rows with a label, at most 512.
    unlabelled : optional
        What stands in y for "no label", such as -1. Such rows are learned from by what the networks take them for (see "Few labels" in
        the guide). Without it every value of y is a class.
    callbacks : sequence of callables
        Called with the trainer and the reports after each epoch. An exception ends the loop; the trainer can go on.
    progress : callable, optional
        Called with the steps done of the running epoch and with all of them, some 20 times a second.

    Ctrl-C stops within an epoch; the next epoch goes on where it stopped. The interpreter's lock is free while it trains.
    """

    # Whether options are allowed that change nothing in this run.
    _idle_allowed = False

    def __init__(
        self,
        config: dict[str, Any] | None,
        X: Any,
        y: Any,
        *,
        validation: Any = None,
        unlabelled: Any = None,
        callbacks: Sequence[Callable[[Trainer, list[dict[str, Any]]], Any]] = (),
        progress: Callable[[int, int], Any] | None = None,
    ) -> None:
        given = dict(config or {})
        extent = {name: given.pop(name) for name in _EXTENT if given.get(name) is not None}
        for name in _EXTENT:
            given.pop(name, None)
        options = as_json(given)
        rows, shape = as_rows(X)
        check_finite(rows)
        labels = np.asarray(y)
        if labels.shape != (len(rows),):
            raise ValueError(f"y has the shape {labels.shape}, and X has {len(rows)} rows; give a label for each")
        has_label = np.ones(len(rows), dtype=bool) if unlabelled is None else labels != unlabelled
        codes = np.zeros(len(rows), dtype=np.uint8)
        self.classes_, found = np.unique(labels[has_label], return_inverse=True)
        if not 2 <= len(self.classes_) <= 256:
            raise ValueError(f"y has {len(self.classes_)} class(es); give 2 to 256")
        codes[has_label] = found
        if validation is None:
            train, test = None, np.flatnonzero(has_label)[:512].astype(np.uint32)
        else:
            test = np.asarray(validation, dtype=np.uint32)
            mask = np.ones(len(rows), dtype=bool)
            mask[test] = False
            train = np.flatnonzero(mask).astype(np.uint32)
            if not len(train) or not len(test):
                raise ValueError("validation must leave rows to train and to measure on")
            if not has_label[test].all():
                raise ValueError("validation has rows without a label, on which nothing can be measured; leave them out")
        self._rows, self._train = len(rows), train
        self.callbacks = list(callbacks)
        self.progress = progress
        self.history_: list[dict[str, Any]] = []
        self._run = _ffcl.Run(
            options,
            rows,
            codes,
            [str(name) for name in self.classes_.tolist()],
            list(shape),
            train=train,
            test=test,
            unlabelled=np.flatnonzero(~(has_label if train is None else has_label[train])).astype(np.uint32),
            idle_allowed=self._idle_allowed,
            **extent,
        )

    def __iter__(self) -> Iterator[list[dict[str, Any]]]:
        while (reports := self.epoch()) is not None:
            yield reports

    def epoch(self) -> list[dict[str, Any]] | None:
        """Trains to the end of the next epoch: a report for each replica, with the keys of metrics.jsonl; None at the end of the run."""
        text = self._run.epoch(self.progress)
        if text is None:
            return None
        reports = json.loads(text)
        self.history_ += reports
        for callback in self.callbacks:
            callback(self, reports)
        return reports

    @property
    def weights(self) -> list[list[tuple[np.ndarray, np.ndarray]]]:
        """For each network (A and B of each replica in turn), for each layer: weight [outputs, inputs] and bias [outputs], float32."""
        return self._run.weights()

    @weights.setter
    def weights(self, weights: Any) -> None:
        whole = [
            [
                (np.ascontiguousarray(weight, dtype=np.float32), np.ascontiguousarray(bias, dtype=np.float32))
                for weight, bias in layers
            ]
            for layers in weights
        ]
        self._run.set_weights(whole)

    def trust(self) -> tuple[np.ndarray, np.ndarray]:
        """With the option `trust`: of each row of X [n], float32, the share of layers and networks that called it worth learning from when
        they saw it last, and its mean loss (nats) over the hidden layers, the networks and the epochs after the fifth. NaN for rows that
        were not trained on."""
        kept, losses, _ = self._trust()
        whole = np.full((2, self._rows), np.nan, dtype=np.float32)
        rows = slice(None) if self._train is None else self._train
        whole[0, rows], whole[1, rows] = kept, losses
        return whole[0], whole[1]

    def suspects(self) -> np.ndarray:
        """With the option `trust`: rows of X that most hidden layers of most networks take for another class, in the epochs after the
        fifth; those with the largest mean loss first, as `ffcl-gpu audit` has them."""
        suspects = self._trust()[2]
        return suspects.astype(np.intp) if self._train is None else np.asarray(self._train)[suspects]

    def _trust(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        kept, losses, suspects = self._run.trust()
        if not len(kept):
            raise ValueError("the run has no option trust, or no epoch has ended")
        return kept, losses, suspects

    @property
    def device(self) -> str:
        """Where it computes."""
        return self._run.device

    @property
    def memory(self) -> int:
        """Bytes that it keeps on the device."""
        return self._run.memory

    @property
    def config(self) -> dict[str, Any]:
        """Every option of the run."""
        return {name.replace("-", "_"): value for name, value in json.loads(self._run.options).items()}

    def model(self) -> _ffcl.Model:
        """The model as it stands."""
        return self._run.model()
