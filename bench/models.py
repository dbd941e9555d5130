"""Makes the benchmark's models: `python models.py FOLDER`.

linear.onnx    `X` float32 [N, 10] -> `prediction` float32 [N, 1], one Gemm. The coefficients are constants, so that the
               file is the same on every machine; their sizes keep predictions within [-4, 4] for features in [-2, 2],
               where one unit in the last place of a float32 is at most 2.4e-7 and a comparison within 1e-6 is fair.
xgboost.onnx   100 trees of depth 6, `X` -> `label`, `probabilities` float32 [N, 2], by onnxmltools as people export
               theirs; xgboost.ubj is the same model as XGBoost writes it, for its own predictor.
lightgbm.onnx  100 trees of 63 leaves, the same; lightgbm.txt for LightGBM's own predictor.

The trees are trained on 200,000 uniform rows of ten features with one thread and fixed seeds.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from lightgbm import LGBMClassifier
from onnx import TensorProto, helper, numpy_helper
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from xgboost import XGBClassifier

COEFFICIENTS = [0.31, -0.24, 0.17, 0.12, -0.09, 0.27, -0.21, 0.15, -0.11, 0.06]
INTERCEPT = 0.5
TRAINING_ROWS = 200_000
INPUT = [("X", FloatTensorType([None, len(COEFFICIENTS)]))]


def linear() -> onnx.ModelProto:
    """A linear model of ten features."""
    weights = numpy_helper.from_array(np.array(COEFFICIENTS, np.float32).reshape(-1, 1), "coefficients")
    bias = numpy_helper.from_array(np.array([INTERCEPT], np.float32), "intercept")
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["X", "coefficients", "intercept"], ["prediction"])],
        "linear",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["N", len(COEFFICIENTS)])],
        [helper.make_tensor_value_info("prediction", TensorProto.FLOAT, ["N", 1])],
        [weights, bias],
    )
    model = helper.make_model(
        graph, producer_name="colonnade-bench", opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    onnx.checker.check_model(model)
    return model


def training_data() -> tuple[np.ndarray, np.ndarray]:
    """Features in [-2, 2] as in the tables, and classes that take more than a line to tell apart."""
    rng = np.random.default_rng(1)
    x = rng.uniform(-2, 2, size=(TRAINING_ROWS, len(COEFFICIENTS))).astype(np.float32)
    signal = x[:, 0] * x[:, 1] + np.sin(3 * x[:, 2]) + x[:, 3] ** 2 - x[:, 4]
    return x, (signal + rng.normal(size=len(x)) * 0.5 > 0.3).astype(int)


def save(folder: Path, name: str, model: onnx.ModelProto) -> None:
    (folder / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    save(folder, "linear", linear())
    x, y = training_data()

    boosted = XGBClassifier(n_estimators=100, max_depth=6, tree_method="hist", n_jobs=1, random_state=1).fit(x, y)
    boosted.get_booster().save_model(folder / "xgboost.ubj")
    save(folder, "xgboost", convert_xgboost(boosted, "xgboost", INPUT, target_opset=15))

    light = LGBMClassifier(
        n_estimators=100, num_leaves=63, n_jobs=1, random_state=1, deterministic=True, force_row_wise=True, verbose=-1
    ).fit(x, y)
    light.booster_.save_model(folder / "lightgbm.txt")
    save(folder, "lightgbm", convert_lightgbm(light, "lightgbm", INPUT, target_opset=15, zipmap=False))
