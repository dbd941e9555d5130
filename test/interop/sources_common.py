"""The columns that every source of these tests has beside its own: a key, a place, and what the model is fed with."""
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa

FEATURES = ['tenure_months', 'days_since_login', 'num_transactions', 'avg_basket']


def scored_columns(first_key, rows):
    """Some rows lack a feature, hold NaN, or an infinity: these are not to be scored."""
    keys = np.arange(first_key, first_key + rows)
    random = np.random.default_rng(first_key)
    basket = random.gamma(3, 20, rows)
    basket[keys % 89 == 7] = np.nan
    basket[keys % 97 == 11] = np.inf
    return {
        'key': pa.array(keys, pa.int64()),
        'site': pa.array([('east', 'west', 'north')[k // 5 % 3] for k in keys.tolist()], pa.string()),
        'tenure_months': pa.array(random.integers(0, 120, rows), pa.int32(), mask=keys % 41 == 3),
        'days_since_login': pa.array(random.integers(0, 200, rows), pa.uint16()),
        'num_transactions': pa.array(random.poisson(12, rows), pa.int64()),
        'avg_basket': pa.array(basket, pa.float64(), mask=keys % 53 == 5),
    }


class Folder:
    """Hands out paths of files in groups: the files of a group have one schema, and are one source."""

    def __init__(self, path):
        self.path = Path(path)
        self.keys = 0

    def file(self, group, name):
        target = self.path / group / f'{name}.parquet'
        target.parent.mkdir(parents=True, exist_ok=True)
        return str(target)

    def next_keys(self, rows):
        """The first of `rows` keys that no other file has."""
        first = self.keys
        self.keys += rows
        return first
