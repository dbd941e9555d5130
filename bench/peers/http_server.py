"""A model behind HTTP, as tutorials build it (FastAPI, uvicorn): `python http_server.py MODEL PORT`.

POST /predict {"features": [ten numbers]} -> {"prediction": number}
"""

import sys

import numpy as np
import scoring
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel


class Row(BaseModel):
    """One row."""

    features: list[float]


app = FastAPI()
session = scoring.open_session(sys.argv[1])


@app.post("/predict")
async def predict(row: Row) -> dict[str, float]:
    (prediction,) = scoring.predict(session, {"X": np.array([row.features], np.float32)})
    return {"prediction": float(prediction)}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), loop="uvloop", http="httptools", access_log=False)
