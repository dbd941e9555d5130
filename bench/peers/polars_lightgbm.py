"""polars' streaming engine with LightGBM's own predictor: `python polars_lightgbm.py SOURCE MODEL.txt OUTPUT`."""

import sys

import lightgbm
import numpy as np
import streaming

source, model, output = sys.argv[1:4]
booster = lightgbm.Booster(model_file=model)
streaming.append(source, output, lambda matrix: booster.predict(matrix).astype(np.float32))
