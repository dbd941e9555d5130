"""polars' streaming engine with XGBoost's own predictor: `python polars_xgboost.py SOURCE MODEL.ubj OUTPUT`."""

import sys

import streaming
import xgboost

source, model, output = sys.argv[1:4]
booster = xgboost.Booster(model_file=model)
streaming.append(source, output, booster.inplace_predict)
