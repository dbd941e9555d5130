"""Trains and exports the models in models/.

    python3.11 -m venv .venv-train && .venv-train/bin/pip install -r models/train/requirements.txt
    .venv-train/bin/python models/train/train.py     # also writes data/breast_cancer.parquet
    .venv-train/bin/python models/train/golden.py

Seeds are fixed and one thread is used: a second run writes the same bytes. Each exported graph is held against the
trainer's own predictions before it is kept.
"""

import json

import numpy as np
import onnx
import onnxruntime as ort
from lightgbm import LGBMClassifier
from onnx import TensorProto, helper, numpy_helper
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as MlFloatTensorType
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import BooleanTensorType, FloatTensorType, Int64TensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from xgboost import XGBClassifier

import tables
from tables import matrix

SEED = 20260630
OPSET = {"": 17, "ai.onnx.ml": 3}


def churn_of(frame, rng):
    """Whether a customer leaves: drawn with a chance that depends on what the models see."""
    logit = (
        -1.2
        + 0.009 * (frame.days_since_login - 60)
        + 0.5 * (frame.support_calls - 1)
        - 0.03 * (frame.tenure_months - 24)
        - 0.04 * (frame.num_transactions - 11)
        - 0.015 * (frame.age - 48)
        - 0.5 * (frame.income / 50_000 - 1)
        + np.where((frame.discount_rate.fillna(0.1) < 0.05) & (frame.email_opens.fillna(5) < 3), 0.9, 0.0)
        - np.where(frame.status == "active", 0.3, 0.0)
    )
    return (rng.random(len(frame)) < 1 / (1 + np.exp(-logit))).astype(int).to_numpy()


def segment_of(frame, rng):
    """A name for how a customer buys; near the borders it is partly chance."""
    spend = np.log1p(frame.num_transactions * frame.avg_basket) + 0.4 * rng.standard_normal(len(frame))
    idle = np.log1p(frame.days_since_login) + 0.2 * rng.standard_normal(len(frame))
    return np.select(
        [frame.tenure_months < 4, idle > np.log(120), spend > 5.6], ["new", "dormant", "loyal"], "occasional"
    ).astype(object)


def run(model, feeds):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, feeds)


def probabilities_of(output):
    """A probability output as a matrix; a ZipMap's maps are ordered as the classes are."""
    if isinstance(output, list):
        return np.array([[row[key] for key in sorted(row)] for row in output])
    return np.asarray(output)


SUMMARY = {}


def keep(name, model, feeds, expected, target=None, tolerance=1e-4):
    """Writes the model when ONNX Runtime agrees with `expected`, the trainer's own scores."""
    onnx.checker.check_model(model)
    outputs = run(model, feeds)
    scores = probabilities_of(outputs[-1])
    if np.shape(expected) != scores.shape:
        scores = scores.reshape(np.shape(expected))
    difference = float(np.max(np.abs(scores - expected) / np.maximum(1, np.abs(expected))))
    if difference > tolerance:
        raise SystemExit(f"{name}: scores differ from the trainer's by up to {difference}")
    model.graph.name = name
    # The converters keep opsets in a set; its order is not the same in every process.
    opsets = sorted(model.opset_import, key=lambda opset: opset.domain)
    del model.opset_import[:]
    model.opset_import.extend(opsets)
    (tables.MODELS / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))
    SUMMARY[name] = {"bytes": len(model.SerializeToString()), "largest difference to the trainer": difference}
    if target is not None:
        SUMMARY[name]["accuracy"] = float(np.mean(outputs[0] == target))
    print(json.dumps({name: SUMMARY[name]}))


def sklearn_onnx(name, model, inputs, **options):
    return convert_sklearn(model, name, inputs, target_opset=OPSET, options={id(model): options} if options else None)


def main():
    tables.write_breast_cancer()
    frame = tables.customers()
    churn = churn_of(frame, np.random.default_rng(SEED))
    segment = segment_of(frame, np.random.default_rng(SEED + 1))
    x = matrix(frame, tables.CHURN)
    x_trees = matrix(frame, tables.CHURN_TREES)
    width = len(tables.CHURN)

    logistic = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, churn)
    # skl2onnx's defaults: the probabilities come out as a sequence of maps (ZipMap).
    model = sklearn_onnx("churn_logistic", logistic, [("X", FloatTensorType([None, width]))])
    keep("churn_logistic", model, {"X": x}, logistic.predict_proba(x), churn)
    # The same model, for 32 rows at once and no other number.
    model = sklearn_onnx("churn_fixed_batch", logistic, [("X", FloatTensorType([32, width]))], zipmap=False)
    keep("churn_fixed_batch", model, {"X": x[:32]}, logistic.predict_proba(x[:32]), churn[:32])

    forest = RandomForestClassifier(n_estimators=20, max_depth=6, random_state=SEED, n_jobs=1).fit(x, churn)
    model = sklearn_onnx("churn_forest", forest, [("X", FloatTensorType([None, width]))], zipmap=False)
    keep("churn_forest", model, {"X": x}, forest.predict_proba(x), churn)

    boosted = XGBClassifier(n_estimators=100, max_depth=4, learning_rate=0.1, tree_method="hist", n_jobs=1, random_state=SEED)
    boosted.fit(x_trees, churn)
    model = convert_xgboost(
        boosted, "churn_xgb", [("X", MlFloatTensorType([None, x_trees.shape[1]]))], target_opset=15
    )
    keep("churn_xgb", model, {"X": x_trees}, boosted.predict_proba(x_trees), churn)

    light = LGBMClassifier(
        n_estimators=60, num_leaves=15, n_jobs=1, random_state=SEED, deterministic=True, force_row_wise=True, verbose=-1
    ).fit(x_trees, churn)
    model = convert_lightgbm(
        light, "churn_lgbm", [("X", MlFloatTensorType([None, x_trees.shape[1]]))], target_opset=15, zipmap=False
    )
    keep("churn_lgbm", model, {"X": x_trees}, light.predict_proba(x_trees), churn)

    derived = matrix(frame, list(tables.CHURN_DERIVED))
    linear = make_pipeline(StandardScaler(), LogisticRegression()).fit(derived, churn)
    model = sklearn_onnx("churn_derived", linear, [("X", FloatTensorType([None, derived.shape[1]]))], zipmap=False)
    keep("churn_derived", model, {"X": derived}, linear.predict_proba(derived), churn)

    x_income = matrix(frame, tables.INCOME)
    regressor = GradientBoostingRegressor(n_estimators=40, max_depth=4, random_state=SEED)
    regressor.fit(x_income, frame.income)
    model = sklearn_onnx("income_regressor", regressor, [("X", FloatTensorType([None, x_income.shape[1]]))])
    keep("income_regressor", model, {"X": x_income}, regressor.predict(x_income))

    x_segments = matrix(frame, tables.SEGMENTS)
    segments = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(x_segments, segment)
    model = sklearn_onnx("segments", segments, [("X", FloatTensorType([None, x_segments.shape[1]]))])
    keep("segments", model, {"X": x_segments}, segments.predict_proba(x_segments), segment)

    # One input a column, of four types.
    transformer = ColumnTransformer(
        [
            ("text", OneHotEncoder(), ["region", "status"]),
            ("number", StandardScaler(), ["age", "tenure_months", "income"]),
            ("flag", "passthrough", ["is_premium"]),
        ]
    )
    columns = frame[tables.MIXED].astype({"region": object, "status": object, "age": "int64", "tenure_months": "int64"})
    columns = columns.astype({"income": "float32"})
    mixed = make_pipeline(transformer, LogisticRegression(max_iter=500)).fit(columns, churn)
    types = {"region": StringTensorType, "status": StringTensorType, "age": Int64TensorType}
    types |= {"tenure_months": Int64TensorType, "income": FloatTensorType, "is_premium": BooleanTensorType}
    model = sklearn_onnx("mixed_inputs", mixed, [(name, types[name]([None, 1])) for name in tables.MIXED], zipmap=False)
    feeds = {name: columns[name].to_numpy().reshape(-1, 1) for name in tables.MIXED}
    keep("mixed_inputs", model, feeds, mixed.predict_proba(columns), churn)

    # A list in, a list out: principal axes of six standardised columns, written with onnx.helper.
    vectors = matrix(frame, tables.EMBEDDING)
    scaler = StandardScaler().fit(vectors)
    axes = PCA(n_components=3, random_state=SEED).fit(scaler.transform(vectors))
    weights = (axes.components_ / scaler.scale_).T.astype(np.float32)
    bias = (-(scaler.mean_ / scaler.scale_ + axes.mean_) @ axes.components_.T).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["vector", "axes"], ["projected"]),
            helper.make_node("Add", ["projected", "bias"], ["embedding"]),
        ],
        "embedding",
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["N", len(tables.EMBEDDING)])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", 3])],
        [numpy_helper.from_array(weights, "axes"), numpy_helper.from_array(bias, "bias")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="onnx.helper")
    model.ir_version = 8
    keep("embedding", model, {"vector": vectors}, axes.transform(scaler.transform(vectors)))

    real = tables.breast_cancer()
    x_real = matrix(real, tables.BREAST_CANCER_FEATURES)
    network = make_pipeline(
        StandardScaler(), MLPClassifier((16,), alpha=0.1, max_iter=400, random_state=SEED)
    ).fit(x_real, real.diagnosis.astype(object))
    model = sklearn_onnx("breast_cancer", network, [("X", FloatTensorType([None, 30]))], zipmap=False)
    keep("breast_cancer", model, {"X": x_real}, network.predict_proba(x_real), real.diagnosis.astype(object))

    total = sum(entry["bytes"] for entry in SUMMARY.values())
    print(f"{len(SUMMARY)} models, {total / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
