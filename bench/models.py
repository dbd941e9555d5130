"""Builds the benchmark's models with the onnx package: `python models.py FOLDER`.

linear.onnx: `X` float32 [N, 10] -> `prediction` float32 [N, 1], one Gemm. The coefficients are constants, so that
the file is the same on every machine; their sizes keep predictions within [-4, 4] for features in [-2, 2], where one
unit in the last place of a float32 is at most 2.4e-7 and a comparison within 1e-6 is fair.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

COEFFICIENTS = [0.31, -0.24, 0.17, 0.12, -0.09, 0.27, -0.21, 0.15, -0.11, 0.06]
INTERCEPT = 0.5


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


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "linear.onnx").write_bytes(linear().SerializeToString())
