"""Ray Data with a pool of actors around onnxruntime: `python ray_data.py SOURCE MODEL OUTPUT`; OUTPUT is a folder."""

import logging
import os
import sys

# Said before Ray is imported, as it is read there.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import durable  # noqa: E402
import pyarrow as pa  # noqa: E402
import ray  # noqa: E402
import scoring  # noqa: E402

source, model, output = sys.argv[1:4]
cores = len(os.sched_getaffinity(0))
# Twice the cores, so that reading and writing find slots beside the actors, which hold one each.
ray.init(num_cpus=2 * cores, include_dashboard=False, logging_level=logging.ERROR)
ray.data.DataContext.get_current().enable_progress_bars = False


class Scorer:
    """One actor: a session of its own."""

    def __init__(self) -> None:
        self.session = scoring.open_session(model)

    def __call__(self, batch: pa.Table) -> pa.Table:
        matrix = scoring.matrix([batch.column(name) for name in scoring.FEATURES])
        return batch.append_column("prediction", pa.array(scoring.predict(self.session, {"X": matrix})))


ray.data.read_parquet(source).map_batches(
    Scorer, batch_size=65_536, batch_format="pyarrow", compute=ray.data.ActorPoolStrategy(size=cores), num_cpus=1
).write_parquet(output, compression="snappy")
durable.sync_tree(output)
ray.shutdown()
