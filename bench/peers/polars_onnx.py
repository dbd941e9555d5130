"""polars' streaming engine with onnxruntime: `python polars_onnx.py SOURCE MODEL OUTPUT`."""

import sys

import scoring
import streaming

source, model, output = sys.argv[1:4]
session = scoring.open_session(model)
streaming.append(source, output, lambda matrix: scoring.predict(session, {"X": matrix}))
