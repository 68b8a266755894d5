"""Wrong labels found in a table: cross-validated probabilities, and what they say against the labels."""

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import cross_val_predict

from ffcl_gpu import FFCLClassifier

x, y = load_breast_cancer(return_X_y=True)
random = np.random.default_rng(0)
wrong = random.choice(len(y), 20, replace=False)
given = y.copy()
given[wrong] = 1 - given[wrong]

model = FFCLClassifier(random_state=0, device="cpu")
probabilities = cross_val_predict(model, x, given, cv=5, method="predict_proba")
doubt = 1 - probabilities[np.arange(len(y)), given]
suspects = np.argsort(-doubt)[:20]
print(f"{np.isin(suspects, wrong).sum()} of the 20 rows that are doubted most are among the 20 wrong ones")
