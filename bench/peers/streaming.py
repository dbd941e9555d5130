"""polars' streaming engine around a function that predicts: what the polars peers share."""

from typing import Callable

import durable
import numpy as np
import polars as pl

FEATURES = [f"f{k}" for k in range(10)]


def append(source: str, output: str, predict: Callable[[np.ndarray], np.ndarray]) -> None:
    """Writes the source with the column `prediction`. `predict` is called from several threads at once."""

    def score(frame: pl.DataFrame) -> pl.DataFrame:
        matrix = frame.select([pl.col(name).cast(pl.Float32) for name in FEATURES]).to_numpy()
        return frame.with_columns(pl.Series("prediction", predict(np.ascontiguousarray(matrix))))

    scan = pl.scan_parquet(source)
    schema = {**scan.collect_schema(), "prediction": pl.Float32}
    scan.map_batches(score, streamable=True, schema=schema).sink_parquet(
        output, compression="snappy", row_group_size=122_880, engine="streaming"
    )
    durable.sync(output)
