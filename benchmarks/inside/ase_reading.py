"""Reads a file with ASE, one frame after the other, and keeps none."""

import json
import sys
import time

import ase.io

start = time.perf_counter()
num_systems = sum(1 for _ in ase.io.iread(sys.argv[1], ":"))
print(json.dumps({"seconds": time.perf_counter() - start, "systems": num_systems}))
