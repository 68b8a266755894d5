"""Features without backpropagation, into a classifier of scikit-learn."""

from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ffcl_gpu import FFCLClassifier

x, y = load_digits(return_X_y=True)
plain = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
learnt = make_pipeline(FFCLClassifier(random_state=0, device="cpu", epochs=30), StandardScaler(), LogisticRegression(max_iter=200))
for name, model in [("columns", plain), ("features of the last hidden layer", learnt)]:
    print(f"{name}: {100 * cross_val_score(model, x, y, cv=3).mean():.2f} %")
