"""The estimator, as scikit-learn and others use it."""

import json
import pickle
import subprocess

import numpy as np
import pytest
from conftest import DEVICE
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import check_estimator

import ffcl_gpu
from ffcl_gpu import FFCLClassifier


def small(**parameters):
    return FFCLClassifier(**{"device": DEVICE, "random_state": 0, "epochs": 20, "batch_size": 16, **parameters})


def test_scikit_learns_own_checks():
    results = check_estimator(FFCLClassifier(device=DEVICE), on_fail=None)
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] not in ("passed", "skipped")}
    assert not failed, failed
    # The only one that is left out is scikit-learn's own decision, where SCIPY_ARRAY_API is not set.
    assert {r["check_name"] for r in results if r["status"] == "skipped"} <= {"check_array_api_input"}
    assert len(results) > 50


def test_every_option_of_the_table_is_a_parameter():
    parameters = FFCLClassifier().get_params()
    assert set(ffcl_gpu.options()) - {"layers"} <= set(parameters)
    assert all(ffcl_gpu.options().values())
    with pytest.raises(TypeError, match="no parameter 'temprature'"):
        FFCLClassifier(temprature=0.1)
    with pytest.raises(ValueError, match="temperature"):
        small(temperature=-1.0).fit(np.eye(20), np.arange(20) % 2)


@pytest.mark.parametrize("kind", ["features", "images"])
def test_the_same_bits_as_the_program(kind, digits, program, tmp_path):
    x_train, x_test, y_train, y_test = digits
    if kind == "images":
        x_train, x_test = x_train.astype(np.uint8), x_test.astype(np.uint8)
    np.savez(tmp_path / "it.npz", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    options = ["--hidden=24,16", "--epochs=4", "--batch-size=50", "--temperature=0.2", "--seed=3", "--replicas=2", "--device=cpu"]
    # Python takes bytes for pixels of 0 to 255; the program would find that these end at 16.
    features = ["--features"] if kind == "features" else ["--white=255"]
    data = ["--dataset", tmp_path / "it.npz"]
    subprocess.run([program, "train", *options, *features, *data, "--out", tmp_path / "run", "--quiet"], check=True)
    model = FFCLClassifier(
        hidden=(24, 16), epochs=4, batch_size=50, temperature=0.2, random_state=3, replicas=2, device=DEVICE
    ).fit(x_train, y_train)
    of_program = FFCLClassifier.load(tmp_path / "run", device=DEVICE)
    for ours, theirs in zip(model._model.weights(), of_program._model.weights(), strict=True):
        for (weight, bias), (other_weight, other_bias) in zip(ours, theirs, strict=True):
            assert np.array_equal(weight, other_weight) and np.array_equal(bias, other_bias)
    assert np.array_equal(model.predict_proba(x_test), of_program.predict_proba(x_test))
    # The program reads what the estimator writes, and counts the same right answers.
    model.save(tmp_path / "model.safetensors")
    evaluate = [program, "evaluate", tmp_path / "model.safetensors", *data, "--device=cpu", "--json"]
    measured = json.loads(subprocess.run(evaluate, check=True, capture_output=True).stdout)
    assert measured["accuracy"] == pytest.approx(model.score(x_test, y_test), abs=1e-12)
    metrics = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [m["layer_losses"] for m in metrics] == [h["layer_losses"] for h in model.history_]


def test_pickle_clone_and_file_keep_the_answers(wine, tmp_path):
    x_train, x_test, y_train, _ = wine
    names = np.array(["red", "white", "rosé"])[y_train]
    model = small().fit(x_train, names)
    answers = model.predict_proba(x_test)
    assert set(model.predict(x_test)) <= {"red", "white", "rosé"}
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict_proba(x_test), answers) and again.history_ == model.history_
    assert clone(model).get_params() == model.get_params()
    assert np.array_equal(clone(model).fit(x_train, names).predict_proba(x_test), answers)
    model.save(tmp_path / "model.safetensors")
    loaded = FFCLClassifier.load(tmp_path / "model.safetensors", device=DEVICE)
    assert np.array_equal(loaded.predict_proba(x_test), answers) and list(loaded.classes_) == list(model.classes_)


def test_it_works_in_what_scikit_learn_has_for_estimators(wine):
    x_train, x_test, y_train, y_test = wine
    assert cross_val_score(small(), x_train, y_train, cv=3).min() > 0.85
    search = GridSearchCV(small(), {"hidden": [(8,), (32, 16)], "temperature": [0.1, 0.3]}, cv=2, n_jobs=2)
    search.fit(x_train, y_train)
    assert search.score(x_test, y_test) > 0.9
    # Without effect with heads, which is no reason to have two grids.
    search = GridSearchCV(small(), {"recipe": ["contrastive", "heads"], "temperature": [0.1, 0.3]}, cv=2, error_score="raise")
    assert search.fit(x_train, y_train).score(x_test, y_test) > 0.9
    line = make_pipeline(MinMaxScaler(), small(), LogisticRegression())
    assert line.fit(x_train, y_train).score(x_test, y_test) > 0.9


def test_cleanlab_finds_wrong_labels(digits):
    cleanlab = pytest.importorskip("cleanlab.classification")
    x_train, x_test, y_train, y_test = digits
    random = np.random.default_rng(0)
    wrong = random.choice(len(y_train), len(y_train) // 10, replace=False)
    noisy = y_train.copy()
    noisy[wrong] = (noisy[wrong] + random.integers(1, 10, len(wrong))) % 10
    cleaning = cleanlab.CleanLearning(small(epochs=10, batch_size=64), cv_n_folds=3, seed=0).fit(x_train, noisy)
    found = cleaning.get_label_issues()["is_label_issue"].to_numpy()
    assert found[wrong].mean() > 0.8 and np.delete(found, wrong).mean() < 0.05
    assert cleaning.score(x_test, y_test) > 0.9


def test_history_and_validation(wine):
    x_train, _, y_train, _ = wine
    plain = small(replicas=2).fit(x_train, y_train).history_
    assert [(h["epoch"], h["replica"]) for h in plain[:3]] == [(1, 0), (1, 1), (2, 0)] and len(plain) == 40
    assert not any(key.startswith("test_") for key in plain[0])
    held = small(validation_fraction=0.25).fit(x_train, y_train).history_
    assert held[-1]["test_accuracy_ensemble"] > 0.8
    with pytest.raises(ValueError, match="validation_fraction"):
        small(validation_fraction=2).fit(x_train, y_train)


def test_transform_is_what_the_last_layer_reads(digits):
    x_train, x_test, y_train, _ = digits
    model = small(hidden=(20, 12), replicas=2, epochs=2).fit(x_train, y_train)
    assert model.transform(x_test, layer=0).shape == (len(x_test), 4 * 20)
    assert model.get_feature_names_out().shape == (4 * 12,)
    # From there on by hand, it is what predict_proba says.
    shares = []
    for values, layers in zip(np.split(model.transform(x_test), 4, axis=1), model._model.weights(), strict=True):
        values = values / np.linalg.norm(values, axis=1, keepdims=True).clip(1e-6) * 12**0.5
        logits = values @ layers[-1][0].T + layers[-1][1]
        shares.append(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))
    assert np.allclose(np.mean(shares, axis=0), model.predict_proba(x_test), atol=1e-5)
    with pytest.raises(ValueError, match="layer 2 is not one of the 2 hidden layers"):
        model.transform(x_test, layer=2)


def test_arrays_of_all_kinds(digits):
    pandas = pytest.importorskip("pandas")
    x, _, y, _ = digits
    bytes_ = (x * 15).astype(np.uint8)
    images = bytes_.reshape(-1, 8, 8)
    flat = small(epochs=2).fit(bytes_, y).predict_proba(bytes_)
    assert np.array_equal(small(epochs=2).fit(images, y).predict_proba(images), flat)
    assert np.array_equal(small(epochs=2).fit(images[..., None], y).predict_proba(images[..., None]), flat)
    assert small(epochs=1, shift=1).fit(images, y).predict(images).shape == y.shape
    assert small(epochs=1).fit(np.repeat(images[..., None], 3, axis=3), y).n_features_in_ == 192
    features = small(epochs=2).fit(x, y).predict_proba(x)
    for same in [x.astype(np.float64), np.asfortranarray(x), x.astype(np.int64), list(x), np.repeat(x, 2, axis=0)[::2]]:
        assert np.array_equal(small(epochs=2).fit(same, y).predict_proba(same), features)
    frame = pandas.DataFrame(x, columns=[f"pixel{i}" for i in range(64)])
    model = small(epochs=2).fit(frame, pandas.Series(y))
    assert np.array_equal(model.predict_proba(frame), features) and model.feature_names_in_[3] == "pixel3"


def test_what_cannot_be_learnt_is_refused(wine):
    x, _, y, _ = wine
    holes = x.copy()
    holes[5, 2] = np.nan
    words = x.astype(object)
    words[0, 0] = "red"
    for bad, labels, words_of in [
        (holes, y, "NaN"),
        (np.where(np.isnan(holes), np.inf, holes), y, "infinity"),
        (words, y, "could not convert|numbers"),
        (x, y[:-1], "labels|inconsistent"),
        (x, np.zeros(len(x)), "1 class"),
        (x[:, :0], y, "0 feature"),
        (x[None, None, None], y, "shape|dim"),
        (x.reshape(len(x), -1, 1, 1).repeat(2, axis=3), y, "1 or 3 channels"),
        (x, np.linspace(0, 1, len(x)), "continuous"),
    ]:
        with pytest.raises(ValueError, match=words_of):
            small().fit(bad, labels)
    model = small(epochs=1).fit(x, y)
    with pytest.raises(ValueError, match="features"):
        model.predict(x[:, :5])
    with pytest.raises(ValueError, match="NaN"):
        model.predict(holes)
    for wrong, words_of in [
        ({"epochs": 0}, "epochs"),
        ({"hidden": (0,)}, "0"),
        ({"recipe": "best"}, "best"),
        ({"shift": 1}, "features; leave them out"),
        ({"learning_rate": -1.0}, "learning-rate"),
    ]:
        with pytest.raises(ValueError, match=words_of):
            small(**wrong).fit(x, y)
    with pytest.raises(RuntimeError, match="learning-rate"):
        small(learning_rate=1e37).fit(x, y)


def test_a_device_that_is_not_there_is_named(wine):
    x, _, y, _ = wine
    with pytest.raises(RuntimeError, match="no such card"):
        small(device="no such card").fit(x, y)


def test_files(wine, tmp_path):
    x, _, y, _ = wine
    model = small(epochs=1).fit(x, y)
    with pytest.raises(OSError):
        FFCLClassifier.load(tmp_path / "nothing.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="safetensors"):
        FFCLClassifier.load(tmp_path / "bad.safetensors")
    with pytest.raises(ValueError, match=".onnx"):
        model.to_onnx(tmp_path / "model.txt")
    onnx = pytest.importorskip("onnx.reference")
    model.to_onnx(tmp_path / "model.onnx")
    session = onnx.ReferenceEvaluator(str(tmp_path / "model.onnx"))
    logits, probabilities = session.run(None, {"features": x.astype(np.float32)})
    assert np.allclose(probabilities, model.predict_proba(x), atol=1e-4)


@pytest.mark.parametrize("shape", [(13,), (6, 5), (6, 5, 3)])
@pytest.mark.parametrize("normalize", [True, False])
def test_a_module_of_pytorch_answers_the_same(shape, normalize):
    torch = pytest.importorskip("torch")
    generator = np.random.default_rng(1)
    x = generator.random((200, *shape), np.float32) if len(shape) == 1 else generator.integers(0, 256, (200, *shape), np.uint8)
    y = (x.reshape(200, -1)[:, :3].argmax(axis=1)).astype(str)
    model = small(epochs=2, normalize=normalize).fit(x, y)
    expected = model.predict_proba(x)
    module = model.to_torch()
    with torch.no_grad():
        assert np.allclose(module(torch.from_numpy(x)).numpy(), expected, atol=1e-5)
        if x.dtype == np.uint8:
            floats = torch.from_numpy(x).float() / 255
            assert np.allclose(module(floats).numpy(), expected, atol=1e-5)
            planes = floats.permute(0, 3, 1, 2) if floats.dim() == 4 else floats
            assert np.allclose(module(planes.flatten(1)).numpy(), expected, atol=1e-5)


def test_the_stub_has_the_options_of_the_table():
    from ffcl_gpu import _stubs

    assert _stubs.FILE.read_text() == _stubs.text(), "run python -m ffcl_gpu._stubs in python/"


def test_trust_finds_wrong_labels(digits):
    x_train, x_test, y_train, y_test = digits
    random = np.random.default_rng(0)
    wrong = random.choice(len(y_train), len(y_train) // 5, replace=False)
    noisy = y_train.copy()
    noisy[wrong] = (noisy[wrong] + random.integers(1, 10, len(wrong))) % 10
    model = small(trust="partner", trust_rate=0.2, epochs=30, batch_size=64).fit(x_train, noisy)
    assert model.trust_.shape == y_train.shape and "trust" in model.history_[-1]
    assert np.isin(wrong, model.suspects_).mean() > 0.8 and np.isin(model.suspects_, wrong).mean() > 0.8
    assert model.score(x_test, y_test) > 0.9
    assert not hasattr(small(epochs=1).fit(x_train, noisy), "suspects_")
    # What the engine makes wrong, it counts.
    report = small(trust="own", trust_rate=0.2, label_noise="sym:0.2", epochs=2, batch_size=64).fit(x_train, y_train).history_[-1]
    assert len(report["trust"]["kept_true"]) == len(report["trust"]["layers"])


def test_rows_without_labels_are_learned_from(digits):
    x_train, x_test, y_train, y_test = digits
    few = np.full_like(y_train, -1)
    for label in range(10):
        few[np.flatnonzero(y_train == label)[:3]] = label
    alone = small(epochs=30, batch_size=10).fit(x_train[few >= 0], few[few >= 0])
    model = small(epochs=30, batch_size=64, unlabelled=-1).fit(x_train, few)
    assert model.classes_.tolist() == list(range(10))
    assert model.score(x_test, y_test) > alone.score(x_test, y_test) + 0.03
    # Without being told, -1 is a class like others.
    assert small(epochs=1).fit(x_train, few).classes_.tolist() == [-1, *range(10)]
    # What the engine leaves without a label is learned from as well.
    assert small(epochs=1, batch_size=64, labelled=30).fit(x_train, y_train).history_[-1]["train_accuracy"] <= 1
    for wrong, words_of in [({"recipe": "paper"}, "labels"), ({"trust": "own"}, "--trust"), ({"labelled": 5}, "--labelled 5")]:
        with pytest.raises(ValueError, match=words_of):
            small(batch_size=64, **({"unlabelled": -1} | wrong)).fit(x_train, few)
    with pytest.raises(ValueError, match="2 classes"):
        small(unlabelled=-1).fit(x_train, np.where(few == 0, 0, -1))
    one_each = np.array([np.flatnonzero(few == label)[0] for label in range(10)])
    held = ffcl_gpu.Trainer({"epochs": 1, "device": DEVICE}, x_train, few, unlabelled=-1, validation=one_each)
    assert held.epoch()[0]["epoch"] == 1
    with pytest.raises(ValueError, match="without a label"):
        ffcl_gpu.Trainer({"device": DEVICE}, x_train, few, unlabelled=-1, validation=np.arange(100))
