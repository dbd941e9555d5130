"""PySpark's mapInArrow with onnxruntime, local[2]: `python pyspark_arrow.py SOURCE MODEL OUTPUT`; OUTPUT is a folder.

Prints a JSON object: `inner_s`, the seconds of the job alone, when the session is already up.
"""

import json
import os
import sys
import time

# Said before Spark starts: else its Python workers are whichever python3 is on the path.
os.environ["PYSPARK_PYTHON"] = sys.executable

import durable  # noqa: E402
from pyspark.sql import SparkSession  # noqa: E402
from pyspark.sql.types import FloatType, StructField, StructType  # noqa: E402

source, model, output = sys.argv[1:4]
spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.driver.memory", "6g")
    .config("spark.ui.enabled", "false")
    .config("spark.log.level", "ERROR")
    .config("spark.sql.execution.arrow.maxRecordsPerBatch", "65536")
    .getOrCreate()
)
folder_of_peers = sys.path[0]


def score(batches):
    sys.path.insert(0, folder_of_peers)  # Spark's Python workers begin with a path of their own
    import pyarrow as pa
    import scoring

    session = scoring.open_session(model)
    for batch in batches:
        prediction = scoring.predict(session, scoring.feeds_of(session, batch))
        yield batch.append_column("prediction", pa.array(prediction))


start = time.perf_counter()
table = spark.read.parquet(source)
schema = StructType([*table.schema.fields, StructField("prediction", FloatType())])
table.mapInArrow(score, schema).write.parquet(output)  # snappy is the default
durable.sync_tree(output)
print(json.dumps({"inner_s": time.perf_counter() - start}))
spark.stop()
