"""What the peers that run ONNX Runtime share: a session, what columns of Arrow feed it with, and its predictions."""

from pathlib import Path

import numpy as np
import onnxruntime as ort

FEATURES = [f"f{k}" for k in range(10)]
TREES = ("xgboost", "lightgbm")
TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(bool)": bool, "tensor(string)": object}


def open_session(model: str, alone: bool = False) -> ort.InferenceSession:
    """
    A session with the threads that are fastest: one where the peer itself calls it from several threads. Where the
    calls come one after the other (`alone`) trees take all cores, and a linear model still takes one: it is too small
    to share, and onnxruntime's pool would only spin.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = 0 if alone and Path(model).stem in TREES else 1
    options.log_severity_level = 3  # LightGBM's exporter declares a shape that each call would warn of
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def predict(session: ort.InferenceSession, feeds: dict) -> np.ndarray:
    """What the benchmark calls the prediction: the probability of class 1, or the one output of the linear model."""
    if any(output.name == "probabilities" for output in session.get_outputs()):
        return np.ascontiguousarray(session.run(["probabilities"], feeds)[0][:, 1])
    return session.run(None, feeds)[0].ravel()


def matrix(columns) -> np.ndarray:
    """Columns of Arrow side by side, as float32."""
    values = np.empty((len(columns[0]), len(columns)), np.float32)
    for k, column in enumerate(columns):
        values[:, k] = column.to_numpy()
    return values


def feeds_of(session: ort.InferenceSession, batch) -> dict:
    """The model's inputs from a record batch: one matrix, or one input a column of shape [N, 1]."""
    inputs = session.get_inputs()
    if len(inputs) == 1:
        return {"X": matrix([batch.column(name) for name in FEATURES])}
    return {
        each.name: batch.column(each.name).to_numpy(zero_copy_only=False).astype(TYPES[each.type]).reshape(-1, 1)
        for each in inputs
    }
