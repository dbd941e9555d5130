"""How columns of Arrow feed a model of the benchmark, and which of its outputs is the prediction."""

import numpy as np

MATRIX = [f"f{k}" for k in range(10)]
TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(bool)": bool, "tensor(string)": object}


def matrix(batch):
    """Ten columns side by side."""
    values = np.empty((batch.num_rows, len(MATRIX)), np.float32)
    for k, name in enumerate(MATRIX):
        values[:, k] = batch.column(name).to_numpy()
    return {"X": values}


def of(session):
    """Two functions: from a batch to the model's inputs, and from a session and these to the predictions."""
    inputs = session.get_inputs()
    if len(inputs) == 1:
        return matrix, lambda model, feeds: model.run(None, feeds)[0].ravel()
    types = {each.name: TYPES[each.type] for each in inputs}

    def columns(batch):
        """One input a column, of shape [N, 1]."""
        return {
            name: batch.column(name).to_numpy(zero_copy_only=False).astype(kind).reshape(-1, 1)
            for name, kind in types.items()
        }

    return columns, lambda model, feeds: model.run(["probabilities"], feeds)[0][:, 1]
