"""Trains, exports and scores the models of the zoo; see README.md. `make.py [NAME …]` makes some of them again."""
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pyarrow as pa
import pyarrow.parquet as pq

import tables

make_attribute = onnx.helper.make_attribute


def make_plain_attribute(key, value, *args, **kwargs):
    """skl2onnx mixes numpy's whole numbers with Python's in one list, which onnx does not take."""
    if isinstance(value, list) and any(isinstance(each, np.integer) for each in value):
        value = [int(each) for each in value]
    return make_attribute(key, value, *args, **kwargs)


onnx.helper.make_attribute = make_plain_attribute

HERE = Path(__file__).parent
GROUP = 128
table, vectors, arrays = tables.write(HERE / "table.parquet")
target = tables.targets(table)
CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def matrix(names, dtype=np.float32):
    return table[names].to_numpy(dtype=np.float64).astype(dtype)


X = [f"x{i}" for i in range(6)]
M = [f"m{i}" for i in range(4)]


def source_of(path):
    """The model, with the locale that is on every Linux: what skl2onnx asks for often is not, and lowers text the same."""
    model = onnx.load(path, load_external_data=False)
    nodes = [node for node in model.graph.node if node.op_type == "StringNormalizer"]
    for node in nodes:
        kept = [attribute for attribute in node.attribute if attribute.name != "locale"]
        del node.attribute[:]
        node.attribute.extend([*kept, onnx.helper.make_attribute("locale", "C.UTF-8")])
    return model.SerializeToString() if nodes else str(path)


def run_onnx(path, feeds):
    """By row groups, as a pipeline with a batch size of 128 has it; with one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(source_of(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    fixed = session.get_inputs()[0].shape[0]
    size = fixed if isinstance(fixed, int) else GROUP
    parts = {name: [] for name in names}
    for group in range(0, tables.ROWS, GROUP):
        end = min(group + GROUP, tables.ROWS)
        for start in range(group, end, size):
            stop = min(start + size, end)
            chunk = {key: value[start:stop] for key, value in feeds.items()}
            if isinstance(fixed, int) and stop - start < fixed:
                chunk = {k: np.concatenate([v, np.repeat(v[-1:], fixed - len(v), axis=0)]) for k, v in chunk.items()}
            for name, value in zip(names, session.run(names, chunk)):
                value = plain(value)
                parts[name].append(value[: stop - start] if isinstance(fixed, int) else value)
    # Some outputs have their rows along the second axis.
    axes = {name: int(len({value.shape[1:] for value in values}) > 1) for name, values in parts.items()}
    return {name: np.concatenate(values, axis=axes[name]) for name, values in parts.items()}, size


def plain(value):
    """A ZipMap's maps as a matrix in the order of the classes; a sequence of tensors side by side."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return np.array([[row[key] for key in sorted(row)] for row in value])
    if isinstance(value, list):
        return np.stack([np.asarray(each) for each in value], axis=1)
    return np.asarray(value)


def missing(features):
    return {name: {"missing": "nan"} for name in features}


def column(values):
    values = np.asarray(values)
    if values.ndim > 1:
        return pa.array(list(values.reshape(len(values), -1)))
    if values.dtype == np.float16:
        values = values.astype(np.float32)
    if values.dtype == object:
        return pa.array([str(v) for v in values])
    return pa.array(values)


def main(names):
    for name in names or CASES:
        folder = HERE / "cases" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        made = CASES[name](folder)
        path = made.pop("file", folder / "model.onnx")
        if "model" in made:
            model = made.pop("model")
            opsets = sorted(model.opset_import, key=lambda opset: opset.domain)
            del model.opset_import[:]
            model.opset_import.extend(opsets)
            path.write_bytes(model.SerializeToString(deterministic=True))
        outputs, made["batch_size"] = run_onnx(path, made.pop("feeds"))
        expected = {}
        for output, (pick, library) in made.pop("expected").items():
            found = np.asarray(pick(outputs))
            found = found.reshape(len(found)) if found.size == len(found) else found
            expected[output] = column(found)
            expected[f"library.{output}"] = column(library)
            if found.dtype != object and np.asarray(library).dtype != object:
                a = found.astype(float).reshape(len(found), -1)
                b = np.asarray(library).astype(float).reshape(len(found), -1)
                difference = np.nanmax(np.abs(a - b) / np.maximum(1, np.abs(b)))
                print(f"  {name}.{output}: differs from the library by {difference:.2g}")
            else:
                same = found.ravel().astype(str) == np.asarray(library).ravel().astype(str)
                print(f"  {name}.{output}: {same.mean():.3f} equal")
        pq.write_table(pa.table(expected), folder / "expected.parquet")
        (folder / "case.json").write_text(json.dumps(made, indent=2, ensure_ascii=False) + "\n")
        print(name, path.stat().st_size if path.is_file() else "")
