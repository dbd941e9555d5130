"""Holds an output against its source and the model: `python verify.py SOURCE MODEL OUTPUT EXPECTED.npy [options]`.

EXPECTED.npy holds the predictions of Python's onnxruntime for the whole source, and is made when it is not there or
older than the model. Prints one JSON object: `rows`, the columns, the largest difference, and `problem`, a text where the
output is not what it should be: other columns than the source's and `prediction`, other rows, or predictions that differ
by more than 1e-6 (relative where they are above 1).
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

import peers.scoring as scoring

TOLERANCE = 1e-6


class Wrong(Exception):
    """What is wrong with an output."""


def expected_predictions(source: str, model: str, path: str) -> np.ndarray:
    """The predictions of the source's rows, in order; float32."""
    if not os.path.exists(path) or os.path.getmtime(path) < os.path.getmtime(model):
        session = scoring.open_session(model, alone=True)
        parts = [
            scoring.predict(session, scoring.feeds_of(session, batch))
            for batch in pq.ParquetFile(source).iter_batches(batch_size=65_536)
        ]
        os.makedirs(os.path.dirname(path), exist_ok=True)
        np.save(path + ".part.npy", np.concatenate(parts))
        os.replace(path + ".part.npy", path)
    return np.load(path, mmap_mode="r")


def hive_columns(file: Path, output: Path) -> list[str]:
    """Columns whose values stand in the names of folders."""
    return [part.split("=")[0] for part in file.relative_to(output).parts[:-1] if "=" in part]


def check_columns(file: Path, output: Path, wanted: list[str], in_order: bool) -> None:
    names = pq.ParquetFile(file).schema_arrow.names + hive_columns(file, output)
    if (names if in_order else sorted(names)) != (wanted if in_order else sorted(wanted)):
        raise Wrong(f"columns of {file} are {names}; {wanted} were expected")


def predictions_by_row(files: list[Path], rows: int, in_order: bool) -> np.ndarray:
    """What was written, by the `id` of a row, which is its position in the source. Each row stands there once."""
    predictions = np.full(rows, np.nan, np.float32)
    found = 0
    for file in files:
        for batch in pq.ParquetFile(file).iter_batches(batch_size=1_048_576, columns=["id", "prediction"]):
            if batch.column("prediction").null_count > 0:
                raise Wrong(f"predictions are NULL in {file}")
            ids = batch.column("id").to_numpy()
            if in_order and not np.array_equal(ids, np.arange(found, found + len(ids))):
                raise Wrong(f"rows are not in the source's order after row {found}")
            if len(ids) > 0 and (ids.min() < 0 or ids.max() >= rows):
                raise Wrong(f"{file} has rows that the source has not")
            predictions[ids] = batch.column("prediction").to_numpy()
            found += len(ids)
    if found != rows or np.isnan(predictions).any():
        raise Wrong(f"{found} rows were found, {rows} different ones were expected")
    return predictions


def verify(args: argparse.Namespace) -> dict:
    """What is printed."""
    expected = expected_predictions(args.source, args.model, args.expected)[: args.rows]
    output = Path(args.output)
    # Names that begin with a dot or an underscore are not data.
    files = [file for file in sorted(output.rglob("*.parquet")) if file.name[0] not in "._"] if output.is_dir() else [output]
    wanted = [*pq.ParquetFile(args.source).schema_arrow.names, "prediction"]
    in_order = not args.any_order
    if in_order and len(files) != 1:
        raise Wrong(f"{output} holds {len(files)} Parquet files; one was expected")
    for file in files:
        check_columns(file, output, wanted, in_order)
    predictions = predictions_by_row(files, len(expected), in_order)
    if args.constant:
        return {"rows": len(expected), "columns": len(wanted)}
    difference = np.abs(predictions - expected) / np.maximum(1, np.abs(expected))
    strays = int((difference > TOLERANCE).sum())
    if strays > args.strays * len(expected):
        raise Wrong(f"{strays} predictions differ by more than {TOLERANCE}, the largest by {difference.max():.3g}")
    return {"rows": len(expected), "columns": len(wanted), "difference": float(difference.max()), "strays": strays}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("source", "model", "output", "expected"):
        parser.add_argument(name)
    parser.add_argument("--rows", type=int, help="the first rows of the source alone were scored")
    parser.add_argument("--any-order", action="store_true", help="rows may stand in any order, in any number of files")
    parser.add_argument("--constant", action="store_true", help="the predictions are made up, and not compared")
    parser.add_argument("--strays", type=float, default=0, help="share of the rows whose predictions may differ by more")
    try:
        print(json.dumps(verify(parser.parse_args())))
    except Wrong as wrong:
        print(json.dumps({"problem": str(wrong)}))
