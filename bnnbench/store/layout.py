"""The names of the folders and files of a store.

store.json                                               the format
fits/<key>/record.json, draws.safetensors
chains/<key>-<chain>/record.json, draws.safetensors      of an unfinished fit: a chain, or all draws (0)
cells/<key>/record.json, arrays.safetensors
runs/<time>.json                                         manifests
quarantine/                                              records that were damaged
"""

from __future__ import annotations

import re

FITS, CHAINS, CELLS = "fits", "chains", "cells"
KINDS = (FITS, CHAINS, CELLS)
"""The kinds of records; each has a folder of that name."""
RUNS, QUARANTINE = "runs", "quarantine"
FOLDERS = (*KINDS, RUNS, QUARANTINE)
RECORD = "record.json"
DRAWS = "draws.safetensors"
ARRAYS = "arrays.safetensors"
KEY = re.compile("[0-9a-f]{64}(-[0-9]+)?")
"""The names of the directories of records. Those of chains end in the number of the chain."""
