"""Writes the sources of writers.test.ts. Usage: write_sources.py FOLDER, which gets one folder a group of files of one schema."""
import sys

import sources_others
import sources_pyarrow
from sources_common import Folder

folder = Folder(sys.argv[1])
sources_pyarrow.write(folder)
sources_others.write(folder)
