"""Models in the folders that registries keep them in."""
import mlflow.onnx
import pandas as pd
from mlflow.models import infer_signature
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.linear_model import LogisticRegression

from zoo import X, case, matrix, table, target


@case
def mlflow_folder(folder):
    """The features come in another order than that of training, which the signature tells."""
    x = matrix(X)
    model = LogisticRegression().fit(x, target["binary"])
    onx = convert_sklearn(model, "model", [("X", FloatTensorType([None, 6]))], target_opset={"": 17, "ai.onnx.ml": 3})
    signature = infer_signature(table[X].head(2), pd.DataFrame({"output_label": [0, 1]}))
    mlflow.onnx.save_model(onx, folder / "churn", signature=signature)
    return {
        "file": folder / "churn" / "model.onnx", "path": "churn", "feeds": {"X": x}, "features": X[::-1],
        "outputs": {"label": "output_label", "chance": {"from": "output_probability", "class": 1}},
        "expected": {
            "label": (lambda o: o["output_label"], model.predict(x)),
            "chance": (lambda o: o["output_probability"][:, 1], model.predict_proba(x)[:, 1]),
        },
    }
