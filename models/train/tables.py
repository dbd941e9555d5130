"""The tables that models are trained on and goldens are made from, and the features of each model.

A feature is an SQL expression over the source's columns, as in a pipeline file; the order is the model's order.
"""

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.datasets import load_breast_cancer

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "models"
CUSTOMERS = ROOT / "data" / "customers"
BREAST_CANCER = ROOT / "data" / "breast_cancer.parquet"

CHURN = ["age", "income", "num_transactions", "tenure_months", "days_since_login", "support_calls"]
CHURN_TREES = [*CHURN, "discount_rate", "email_opens"]
CHURN_DERIVED = {
    "age": "age",
    "log_income": "ln(1 + income)",
    "transactions_a_month": "num_transactions / (1.0 + tenure_months)",
    "recency": "1.0 / (1 + days_since_login)",
    "active": "(status = 'active')::INTEGER",
}
SEGMENTS = ["tenure_months", "days_since_login", "num_transactions", "avg_basket"]
INCOME = ["age", "num_transactions", "tenure_months", "avg_basket", "balance", "is_premium"]
MIXED = ["region", "status", "age", "tenure_months", "income", "is_premium"]
BREAST_CANCER_FEATURES = [name.replace(" ", "_") for name in load_breast_cancer().feature_names]
EMBEDDING = ["num_transactions", "tenure_months", "avg_basket", "days_since_login", "support_calls", "age"]


def matrix(frame: pd.DataFrame, names: list[str]) -> np.ndarray:
    """What a pipeline feeds a matrix input with: the columns as float32, NULL as NaN."""
    return frame[names].astype("float32").to_numpy(dtype=np.float32, na_value=np.nan)


def customers() -> pd.DataFrame:
    """The customers in the order of customer_id, with `_file` (relative) and `_row` (from 0) of each.

    Only those that the sample pipelines score; the others are in quarantine there.
    """
    frame = duckdb.sql(
        f"""
        SELECT *, replace(filename, '{CUSTOMERS}/', '') AS _file, file_row_number AS _row,
          {", ".join(f"TRY({sql}) AS {name}" for name, sql in CHURN_DERIVED.items() if name != sql)}
        FROM read_parquet('{CUSTOMERS}/*/*.parquet', hive_partitioning = true, filename = true, file_row_number = true)
        ORDER BY customer_id
        """
    ).df()
    # Not in SQL: DuckDB 2.0 concludes from Parquet statistics, which leave NaN out, that no value is NaN.
    return frame[frame.age.between(0, 120) & np.isfinite(frame.income) & (frame.income >= 0)]


def breast_cancer() -> pd.DataFrame:
    """scikit-learn's copy of the Wisconsin data: `id`, 30 measurements, `diagnosis`."""
    return pq.read_table(BREAST_CANCER).to_pandas()


def write_breast_cancer() -> None:
    """Writes data/breast_cancer.parquet from the copy that scikit-learn carries."""
    bunch = load_breast_cancer(as_frame=True)
    measurements = bunch.data.rename(columns=lambda name: name.replace(" ", "_"))
    table = pa.table(
        {
            "id": pa.array(range(len(measurements)), pa.int32()),
            **{name: pa.array(measurements[name], pa.float64()) for name in measurements.columns},
            "diagnosis": pa.array([str(bunch.target_names[k]) for k in bunch.target]),
        }
    )
    pq.write_table(table, BREAST_CANCER, row_group_size=200, compression="zstd")


if __name__ == "__main__":
    write_breast_cancer()
