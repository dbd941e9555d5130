"""XGBoost, LightGBM and CatBoost, each by the exporter that its users take."""
import numpy as np
from catboost import CatBoostClassifier, CatBoostRegressor
from lightgbm import LGBMClassifier, LGBMRegressor
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from xgboost import XGBClassifier, XGBRanker, XGBRegressor

from zoo import M, X, case, matrix, missing, table, target

x, m = matrix(X), matrix(M)
binary, three, number = target["binary"], target["three"], target["number"]
SEED = 7


def floats(name, width):
    return [(name, FloatTensorType([None, width]))]


def classified(onx, feeds, features, model, values, names, rules=None, labels=None, chances=None):
    label, probability = names
    chances = model.predict_proba(values) if chances is None else chances
    made = {
        "model": onx, "feeds": feeds, "features": features,
        "outputs": {"label": label, "chance": {"from": probability, "class": int(chances.shape[1] - 1)}},
        "expected": {
            "label": (lambda o: o[label], model.predict(values) if labels is None else labels),
            "chance": (lambda o: o[probability][:, -1], chances[:, -1]),
        },
    }
    if rules:
        made["rules"] = rules
    return made


def xgb(model, y, values, features, rules=None):
    model.fit(values, y)
    onx = convert_xgboost(model, "model", floats("X", values.shape[1]), target_opset=15)
    return classified(onx, {"X": values}, features, model, values, ("label", "probabilities"), rules)


@case
def xgboost_binary(_):
    return xgb(XGBClassifier(n_estimators=10, max_depth=3, n_jobs=1, random_state=SEED), binary, x, X)


@case
def xgboost_missing(_):
    return xgb(XGBClassifier(n_estimators=10, max_depth=3, n_jobs=1, random_state=SEED), binary, m, M, missing(M))


@case
def xgboost_multi_class(_):
    return xgb(XGBClassifier(n_estimators=8, max_depth=3, n_jobs=1, random_state=SEED), three, x, X)


@case
def xgboost_regression(_):
    model = XGBRegressor(n_estimators=10, max_depth=3, n_jobs=1, random_state=SEED).fit(x, number)
    return {
        "model": convert_xgboost(model, "model", floats("X", 6), target_opset=15),
        "feeds": {"X": x}, "features": X, "outputs": {"estimate": "variable"},
        "expected": {"estimate": (lambda o: o["variable"], model.predict(x))},
    }


@case
def xgboost_ranking(folder):
    ranker = XGBRanker(n_estimators=10, max_depth=3, n_jobs=1, random_state=SEED).fit(x, three, qid=np.arange(320) // 20)
    # The converter knows no ranker: its trees are exported as those of a regressor, which give the same relevance.
    ranker.get_booster().save_model(folder / "ranker.json")
    model = XGBRegressor()
    model.load_model(folder / "ranker.json")
    (folder / "ranker.json").unlink()
    return {
        "model": convert_xgboost(model, "model", floats("X", 6), target_opset=15),
        "feeds": {"X": x}, "features": X, "outputs": {"relevance": "variable"},
        "expected": {"relevance": (lambda o: o["variable"], ranker.predict(x))},
    }


def lgbm(**options):
    return dict(num_leaves=7, n_jobs=1, random_state=SEED, deterministic=True, force_row_wise=True, verbose=-1, **options)


@case
def lightgbm_binary(_):
    """The defaults of the converter: ZipMap, and a label that is declared as one value."""
    model = LGBMClassifier(n_estimators=10, **lgbm()).fit(m, binary)
    onx = convert_lightgbm(model, "model", floats("X", 4), target_opset=15)
    return classified(onx, {"X": m}, M, model, m, ("label", "probabilities"), missing(M))


@case
def lightgbm_no_zipmap(_):
    model = LGBMClassifier(n_estimators=10, **lgbm()).fit(x, binary)
    onx = convert_lightgbm(model, "model", floats("X", 6), target_opset=15, zipmap=False)
    return classified(onx, {"X": x}, X, model, x, ("label", "probabilities"))


@case
def lightgbm_multi_class(_):
    model = LGBMClassifier(n_estimators=8, **lgbm()).fit(x, three)
    onx = convert_lightgbm(model, "model", floats("X", 6), target_opset=15)
    return classified(onx, {"X": x}, X, model, x, ("label", "probabilities"))


@case
def lightgbm_categorical_splits(_):
    features = ["plan", "age", "x0"]
    # As numbers: of a pandas category LightGBM takes the codes, which the table does not have.
    values = table[features].to_numpy(np.float32)
    # No order of the plans tells this.
    wanted = (table.plan.isin([2, 4]) ^ (table.x0 > 1)).astype(int).to_numpy()
    model = LGBMClassifier(n_estimators=10, min_child_samples=5, min_data_per_group=5, cat_smooth=1, cat_l2=0, **lgbm())
    model.fit(values, wanted, categorical_feature=[0])
    onx = convert_lightgbm(model, "model", floats("X", 3), target_opset=15, zipmap=False)
    modes = {mode for node in onx.graph.node for each in node.attribute if each.name == "nodes_modes" for mode in each.strings}
    assert b"BRANCH_EQ" in modes, modes
    return classified(onx, {"X": values}, features, model, values, ("label", "probabilities"))


@case
def lightgbm_regression(_):
    model = LGBMRegressor(n_estimators=10, **lgbm()).fit(x, number)
    return {
        "model": convert_lightgbm(model, "model", floats("X", 6), target_opset=15),
        "feeds": {"X": x}, "features": X, "outputs": {"estimate": "variable"},
        "expected": {"estimate": (lambda o: o["variable"], model.predict(x))},
    }


def catboost(model, y, folder):
    model.fit(x, y)
    path = folder / "model.onnx"
    model.save_model(str(path), format="onnx", export_parameters={"onnx_domain": "ai.catboost", "onnx_model_version": 1})
    return path


def cat_options(**options):
    return dict(iterations=10, depth=3, random_seed=SEED, thread_count=1, verbose=0, allow_writing_files=False, **options)


@case
def catboost_binary(folder):
    model = CatBoostClassifier(**cat_options())
    path = catboost(model, binary, folder)
    return {"file": path, **{k: v for k, v in classified(None, {"features": x}, X, model, x, ("label", "probabilities")).items() if k != "model"}}


@case
def catboost_multi_class(folder):
    model = CatBoostClassifier(**cat_options(loss_function="MultiClass"))
    path = catboost(model, three, folder)
    made = classified(None, {"features": x}, X, model, x, ("label", "probabilities"), labels=model.predict(x).ravel())
    return {"file": path, **{k: v for k, v in made.items() if k != "model"}}


@case
def catboost_regression(folder):
    model = CatBoostRegressor(**cat_options())
    path = catboost(model, number, folder)
    return {
        "file": path, "feeds": {"features": x}, "features": X, "outputs": {"estimate": "predictions"},
        "expected": {"estimate": (lambda o: o["predictions"], model.predict(x))},
    }
