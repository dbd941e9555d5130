"""scikit-learn through skl2onnx."""
import datetime as dt

import numpy as np
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeRegressor

from zoo import M, X, arrays, case, matrix, missing, table, target

OPSET = {"": 17, "ai.onnx.ml": 3}
SEED = 7
x = matrix(X)
m = matrix(M)
binary, three, names, number, labels = (target[key] for key in ("binary", "three", "names", "number", "labels"))


def export(model, inputs, **options):
    return convert_sklearn(model, "model", inputs, target_opset=OPSET, options={id(model): options} if options else None)


def floats(width):
    return [("X", FloatTensorType([None, width]))]


def classifier(model, y, classes, features=X, values=x, rules=None, names_of=("output_label", "output_probability"), **options):
    """Label, the chance of the last class, and all chances as a list."""
    model.fit(values, y)
    onx = export(model, floats(values.shape[1]), **options)
    label, probability = names_of if "zipmap" not in options else ("label", "probabilities")
    chances = model.predict_proba(values)
    made = {
        "model": onx,
        "feeds": {"X": values},
        "features": features,
        "outputs": {
            "label": label,
            "chance": {"from": probability, "class": classes[-1]},
            "chances": {"from": probability, "as": "list"},
        },
        "expected": {
            "label": (lambda o: o[label], model.predict(values)),
            "chance": (lambda o: o[probability][:, -1], chances[:, -1]),
            "chances": (lambda o: o[probability], chances),
        },
    }
    if rules:
        made["rules"] = rules
    return made


@case
def sklearn_logistic(_):
    return classifier(make_pipeline(StandardScaler(), LogisticRegression()), binary, [0, 1])


@case
def sklearn_logistic_no_zipmap(_):
    return classifier(make_pipeline(StandardScaler(), LogisticRegression()), binary, [0, 1], zipmap=False)


@case
def sklearn_logistic_names(_):
    return classifier(LogisticRegression(), names, ["gone", "kept", "won"])


@case
def sklearn_logistic_bool(_):
    made = classifier(LogisticRegression(), binary.astype(bool), [False, True])
    pick, label = made["expected"]["label"]
    # The converter gives the label of a bool as 0 or 1.
    return {**made, "expected": {**made["expected"], "label": (pick, label.astype(int))}}


@case
def sklearn_logistic_columns_zipmap(_):
    model = LogisticRegression().fit(x, three)
    onx = export(model, floats(6), zipmap="columns")
    chances = model.predict_proba(x)
    return {
        "model": onx, "feeds": {"X": x}, "features": X,
        "outputs": {"label": "output_label", "p0": "i0", "p2": "i2"},
        "expected": {
            "label": (lambda o: o["output_label"], model.predict(x)),
            "p0": (lambda o: o["i0"], chances[:, 0]),
            "p2": (lambda o: o["i2"], chances[:, 2]),
        },
    }


@case
def sklearn_random_forest(_):
    return classifier(RandomForestClassifier(12, max_depth=4, random_state=SEED), three, [0, 1, 2])


@case
def sklearn_extra_trees(_):
    return classifier(ExtraTreesClassifier(12, max_depth=4, random_state=SEED), names, ["gone", "kept", "won"], zipmap=False)


@case
def sklearn_gradient_boosting(_):
    return classifier(GradientBoostingClassifier(n_estimators=12, random_state=SEED), binary, [0, 1])


@case
def sklearn_hist_gradient_boosting(_):
    return classifier(
        HistGradientBoostingClassifier(max_iter=12, max_leaf_nodes=7, random_state=SEED), binary, [0, 1],
        features=M, values=m, rules=missing(M),
    )


@case
def sklearn_svc(_):
    return classifier(SVC(probability=True, random_state=SEED), three, [0, 1, 2])


@case
def sklearn_k_neighbors(_):
    return classifier(KNeighborsClassifier(5), binary, [0, 1])


@case
def sklearn_mlp(_):
    return classifier(MLPClassifier((12, 6), max_iter=60, random_state=SEED), three, [0, 1, 2], zipmap=False)


@case
def sklearn_gaussian_nb(_):
    return classifier(GaussianNB(), names, ["gone", "kept", "won"])


@case
def sklearn_isolation_forest(_):
    model = IsolationForest(n_estimators=12, random_state=SEED).fit(x)
    return {
        "model": convert_sklearn(model, "model", floats(6), target_opset=OPSET),
        "feeds": {"X": x}, "features": X, "outputs": {"label": "label", "score": "scores"},
        "expected": {
            "label": (lambda o: o["label"], model.predict(x)),
            "score": (lambda o: o["scores"], model.decision_function(x)),
        },
    }


@case
def sklearn_k_means(_):
    model = KMeans(4, n_init=2, random_state=SEED).fit(x)
    return {
        "model": convert_sklearn(model, "model", floats(6), target_opset=OPSET),
        "feeds": {"X": x}, "features": X,
        "outputs": {"cluster": "label", "distances": {"from": "scores", "as": "list"}, "margin": {"from": "scores", "reduce": "margin"}},
        "expected": {
            "cluster": (lambda o: o["label"], model.predict(x)),
            "distances": (lambda o: o["scores"], model.transform(x)),
            "margin": (lambda o: np.diff(np.sort(o["scores"], axis=1)[:, -2:], axis=1), np.diff(np.sort(model.transform(x), axis=1)[:, -2:], axis=1).ravel()),
        },
    }


@case
def sklearn_pca(_):
    model = PCA(3, random_state=SEED).fit(x)
    return {
        "model": convert_sklearn(model, "model", floats(6), target_opset=OPSET),
        "feeds": {"X": x}, "features": X, "outputs": {"components": {"from": "variable", "as": "list"}, "first": {"from": "variable", "index": 0}},
        "expected": {
            "components": (lambda o: o["variable"], model.transform(x)),
            "first": (lambda o: o["variable"][:, 0], model.transform(x)[:, 0]),
        },
    }


def regressor(model, features=X, values=x, rules=None):
    model.fit(values, number)
    made = {
        "model": convert_sklearn(model, "model", floats(values.shape[1]), target_opset=OPSET),
        "feeds": {"X": values}, "features": features, "outputs": {"estimate": "variable"},
        "expected": {"estimate": (lambda o: o["variable"], model.predict(values))},
    }
    if rules:
        made["rules"] = rules
    return made


@case
def sklearn_linear_regression(_):
    return regressor(LinearRegression())


@case
def sklearn_ridge_double(_):
    from skl2onnx.common.data_types import DoubleTensorType

    wide = matrix(X, np.float64)
    model = Ridge().fit(wide, number)
    return {
        "model": convert_sklearn(model, "model", [("X", DoubleTensorType([None, 6]))], target_opset=OPSET),
        "feeds": {"X": wide}, "features": X, "outputs": {"estimate": "variable"},
        "expected": {"estimate": (lambda o: o["variable"], model.predict(wide))},
    }


@case
def sklearn_tree_regressor(_):
    return regressor(DecisionTreeRegressor(max_depth=4, random_state=SEED))


@case
def sklearn_forest_regressor(_):
    return regressor(RandomForestRegressor(10, max_depth=4, random_state=SEED))


@case
def sklearn_hist_regressor(_):
    return regressor(HistGradientBoostingRegressor(max_iter=12, max_leaf_nodes=7, random_state=SEED), M, m, missing(M))


@case
def sklearn_multi_output_regression(_):
    both = np.column_stack([number, table.x3 - table.x4])
    model = LinearRegression().fit(x, both)
    return {
        "model": convert_sklearn(model, "model", floats(6), target_opset=OPSET),
        "feeds": {"X": x}, "features": X,
        "outputs": {"first": {"from": "variable", "index": 0}, "second": {"from": "variable", "index": 1}},
        "expected": {
            "first": (lambda o: o["variable"][:, 0], model.predict(x)[:, 0]),
            "second": (lambda o: o["variable"][:, 1], model.predict(x)[:, 1]),
        },
    }


def two_labels(model, chance, chances_of):
    """The labels, the chance that the first is there, and both chances of the second."""
    model.fit(x, labels)
    found, chances = model.predict(x), model.predict_proba(x)
    return {
        "model": export(model, floats(6), zipmap=False), "feeds": {"X": x}, "features": X,
        "outputs": {
            "first": {"from": "label", "index": 0}, "second": {"from": "label", "index": 1},
            "chance": {"from": "probabilities.0", **chance}, "chances": {"from": "probabilities.1", "as": "list"},
        },
        "expected": {
            "first": (lambda o: o["label"][:, 0], found[:, 0]),
            "second": (lambda o: o["label"][:, 1], found[:, 1]),
            "chance": (lambda o: chances_of(o["probabilities"], 0)[:, 1], chances[0][:, 1]),
            "chances": (lambda o: chances_of(o["probabilities"], 1), chances[1]),
        },
    }


@case
def sklearn_multi_label_forest(_):
    """One tensor, [labels, N, classes]."""
    model = RandomForestClassifier(8, max_depth=4, random_state=SEED)
    return two_labels(model, {"index": 1}, lambda probabilities, label: probabilities[label])


@case
def sklearn_multi_output_classifier(_):
    """A sequence of tensors, which tell their classes."""
    return two_labels(MultiOutputClassifier(LogisticRegression()), {"class": 1}, lambda probabilities, label: probabilities[:, label])


@case
def sklearn_mixed_columns(_):
    """One input a column: strings and floats side by side, gaps filled by the model."""
    frame = table[["x0", "m0", "visits", "plan", "city", "grade", "member"]].copy()
    frame["x0"] = frame.x0.astype(np.float32)
    frame["m0"] = frame.m0.astype(np.float32)
    steps = ColumnTransformer([
        ("scale", StandardScaler(), ["x0"]),
        ("fill", Pipeline([("i", SimpleImputer(strategy="median")), ("s", StandardScaler())]), ["m0"]),
        ("count", StandardScaler(), ["visits"]),
        ("city", OneHotEncoder(handle_unknown="ignore"), ["city"]),
        ("plan", OneHotEncoder(handle_unknown="ignore"), ["plan"]),
        ("grade", OrdinalEncoder(categories=[["low", "mid", "high"]]), ["grade"]),
    ])
    model = Pipeline([("columns", steps), ("model", LogisticRegression())])
    frame = frame.drop(columns="member")
    model.fit(frame, names)
    inputs = [
        ("x0", FloatTensorType([None, 1])), ("m0", FloatTensorType([None, 1])), ("visits", Int64TensorType([None, 1])),
        ("plan", Int64TensorType([None, 1])), ("city", StringTensorType([None, 1])), ("grade", StringTensorType([None, 1])),
    ]
    onx = convert_sklearn(model, "model", inputs, target_opset=OPSET)
    feeds = {
        "x0": frame[["x0"]].to_numpy(), "m0": frame[["m0"]].to_numpy(),
        "visits": frame[["visits"]].to_numpy(np.int64), "plan": frame[["plan"]].to_numpy(np.int64),
        "city": frame[["city"]].to_numpy(), "grade": frame[["grade"]].to_numpy(),
    }
    chances = model.predict_proba(frame)
    return {
        "model": onx, "feeds": feeds, "features": list(frame.columns), "rules": missing(["m0"]),
        "outputs": {"label": "output_label", "won": {"from": "output_probability", "class": "won"}},
        "expected": {
            "label": (lambda o: o["output_label"], model.predict(frame)),
            "won": (lambda o: o["output_probability"][:, 2], chances[:, 2]),
        },
    }


@case
def sklearn_ordinal_matrix(_):
    """Whole numbers in one int64 matrix."""
    values = table[["visits", "plan", "age"]].to_numpy(np.int64)
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()).fit(values, binary)
    onx = export(model, [("X", Int64TensorType([None, 3]))], zipmap=False)
    return {
        "model": onx, "feeds": {"X": values}, "features": ["visits", "plan", "age"],
        "outputs": {"label": "label", "chance": {"from": "probabilities", "class": 1}},
        "expected": {
            "label": (lambda o: o["label"], model.predict(values)),
            "chance": (lambda o: o["probabilities"][:, 1], model.predict_proba(values)[:, 1]),
        },
    }


@case
def sklearn_string_matrix(_):
    values = table[["city", "grade"]].to_numpy(object)
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()).fit(values, binary)
    onx = export(model, [("X", StringTensorType([None, 2]))], zipmap=False)
    return {
        "model": onx, "feeds": {"X": values}, "features": ["city", "grade"],
        "outputs": {"label": "label", "chance": {"from": "probabilities", "class": 1}},
        "expected": {
            "label": (lambda o: o["label"], model.predict(values)),
            "chance": (lambda o: o["probabilities"][:, 1], model.predict_proba(values)[:, 1]),
        },
    }


@case
def sklearn_tfidf(_):
    values = table[["review"]].to_numpy(object)
    model = Pipeline([
        ("text", ColumnTransformer([("tfidf", TfidfVectorizer(), 0)])),
        ("model", LogisticRegression()),
    ]).fit(values, binary)
    onx = convert_sklearn(model, "model", [("review", StringTensorType([None, 1]))], target_opset=OPSET)
    return {
        "model": onx, "feeds": {"review": values}, "features": ["review"],
        "outputs": {"label": "output_label", "chance": {"from": "output_probability", "class": 1}},
        "expected": {
            "label": (lambda o: o["output_label"], model.predict(values)),
            "chance": (lambda o: o["output_probability"][:, 1], model.predict_proba(values)[:, 1]),
        },
    }


@case
def sklearn_column_types(_):
    """Columns of every type that has numbers; of dates and times the pipeline says which number."""
    days = np.array([(each - dt.date(1970, 1, 1)).days for each in table.since], np.float64)
    seconds = arrays["seen"].cast("int64").to_numpy() / 1e6
    columns = [
        arrays["half"].to_numpy().astype(np.float64), np.array([float(each) for each in arrays["amount"].to_pylist()]),
        seconds, days, table.member.astype(np.float64), table.age, table.plan, table.visits,
        arrays["tiny"].to_numpy(), arrays["large"].to_numpy(), arrays["token_b"].to_numpy(),
    ]
    values = np.column_stack(columns).astype(np.float32)
    model = DecisionTreeRegressor(max_depth=6, random_state=SEED).fit(values, number)
    return {
        "model": convert_sklearn(model, "model", floats(values.shape[1]), target_opset=OPSET),
        "feeds": {"X": values},
        "features": [
            "half", "amount", {"name": "seen_s", "sql": "epoch(seen)"}, {"name": "since_days", "sql": "epoch(since) / 86400"},
            "member", "age", "plan", "visits", "tiny", "large", "token_b",
        ],
        "outputs": {"estimate": "variable"},
        "expected": {"estimate": (lambda o: o["variable"], model.predict(values))},
    }


def with_opset(opset):
    def made(_):
        model = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, binary)
        onx = convert_sklearn(
            model, "model", floats(6), target_opset={"": opset, "ai.onnx.ml": 1}, options={id(model): {"zipmap": False}}
        )
        return {
            "model": onx, "feeds": {"X": x}, "features": X,
            "outputs": {"label": "label", "chance": {"from": "probabilities", "class": 1}},
            "expected": {
                "label": (lambda o: o["label"], model.predict(x)),
                "chance": (lambda o: o["probabilities"][:, 1], model.predict_proba(x)[:, 1]),
            },
        }

    made.__name__ = f"sklearn_opset_{opset:02}"
    return made


for each in (9, 10, 11, 12, 13, 14, 15, 16, 18, 19, 20, 21):
    case(with_opset(each))
