"""The names of the folders and files of a store.

store.json                                               the format
fits/<key>/record.json, draws.safetensors, traces.safetensors
chains/<key>-<chain>/record.json, draws.safetensors      of an unfinished fit: a chain, or all draws (0)
states/<key>-<part>-<number>/record.json, arrays.safetensors
                                                         of a part of a fit: 0 and 1 its last two states, from 2 on its
                                                         draws while it is unfinished
cells/<key>/record.json, arrays.safetensors
runs/<time>.json                                         manifests
quarantine/                                              records that were damaged
"""

from __future__ import annotations

import re

FITS, CHAINS, STATES, CELLS = "fits", "chains", "states", "cells"
KINDS = (FITS, CHAINS, STATES, CELLS)
"""The kinds of records; each has a folder of that name."""
RUNS, QUARANTINE = "runs", "quarantine"
FOLDERS = (*KINDS, RUNS, QUARANTINE)
RECORD = "record.json"
DRAWS = "draws.safetensors"
ARRAYS = "arrays.safetensors"
TRACES = "traces.safetensors"
KEY = re.compile("[0-9a-f]{64}(-[0-9]+){0,2}")
"""The names of the directories of records. Those of parts of a fit end in the number of the part."""
