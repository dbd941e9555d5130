"""DuckDB's own partitioned COPY, a constant in the place of predictions: `python duckdb_partition.py SOURCE MODEL OUTPUT`.

No model is run: what is left is the floor of writing the table into hive folders.
"""

import sys

import duckdb
import durable

source, _, output = sys.argv[1:4]
duckdb.execute(
    f"COPY (SELECT *, 0.5::FLOAT AS prediction FROM '{source}') TO '{output}' "
    "(FORMAT parquet, PARTITION_BY (region), COMPRESSION snappy, ROW_GROUP_SIZE 122880)"
)
durable.sync_tree(output)
