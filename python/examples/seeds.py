"""A study of seeds: one run trains them side by side, and pandas sums them up."""

import pandas as pd
from sklearn.datasets import load_digits

from ffcl_gpu import FFCLClassifier

x, y = load_digits(return_X_y=True)
model = FFCLClassifier(replicas=5, epochs=20, validation_fraction=0.25, random_state=0, device="cpu").fit(x, y)
history = pd.DataFrame(model.history_)
print(history.groupby("epoch")["test_accuracy_ensemble"].agg(["mean", "std", "min", "max"]).tail(5))
