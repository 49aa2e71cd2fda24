"""Fits of a store as files that others can use, and back into a store.

A packed fit is one safetensors file. It holds the draws and, in its header, the recipes of network and posterior (so
that `bnnbench.load` reads it), and the fit's record: identity, card, diagnostics, environment and the checksums of the
data. Nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from bnnbench.core.dependencies import field_of
from bnnbench.core.draws import Draws
from bnnbench.core.draws_file import read_draws, write_draws
from bnnbench.core.predictive_header import check_format, header_of
from bnnbench.core.rules import preparation
from bnnbench.errors import StoreError, one_line
from bnnbench.matrix.specs import FitSpec, key_of
from bnnbench.plugins.kinds import FIT_KINDS
from bnnbench.store.checks import LARGEST_RECORD
from bnnbench.store.files import write_whole
from bnnbench.store.records import changed, check_fields, with_defaults
from bnnbench.store.store import CHAINS, DRAWS, FITS, STATES, Store

FIT, SUM = "fit", "draws_sha256"
"""The entries of the header that hold the fit's record, and the checksum of its draws."""


def pack(store: Store, fit: FitSpec, path: Path) -> None:
    """Write a finished fit of a store as one file.

    Raises `StoreError` if the store has no finished fit of this key, or if the file cannot be written.
    """
    record = store.record(FITS, fit.key)
    if record is None or record["status"] != "ok":
        state = "not in the store" if record is None else f"{record['status']}: {record['reason']}"
        raise StoreError(f"fit {fit.key[:12]} cannot be packed: it is {state}")
    draws = store.draws(FITS, fit.key, record)
    data = preparation.loaded(fit.dataset, fit.seed)
    network = preparation.built(fit.network, data, "cpu")
    header = header_of(network, fit.posterior, data.bounds) | {FIT: changed(record), SUM: sum_of_draws(draws)}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda place: write_draws(place, draws, header))


def unpack(path: Path, store: Store) -> tuple[str, bool]:
    """Put the fit of a packed file into a held store; returns its key, and whether the store had it already.

    The key is computed from the identity that the file states. That the draws are what the identity says is taken from
    the file: only a fit on this computer could prove it. A run checks that the data have the checksum of the record and
    that the network predicts what it predicted for the fit. What the store has of an unfinished fit of this key is
    removed. Raises `StoreError` if the file is no packed fit, is damaged, is of a later format, or holds draws that are
    not finite.
    """
    draws, header = read_draws(path)
    record = header.get(FIT)
    if not isinstance(record, dict):
        raise StoreError(f"{path} holds draws, but not the record of a fit: bnnbench draws pack writes such files")
    check_format(path, header)
    key = _key(path, record)
    if header.get(SUM) != sum_of_draws(draws):
        raise StoreError(f"{path} is damaged: its draws do not have their checksum")
    bad = [name for name, array in (draws.shared | draws.arrays).items() if not np.isfinite(array).all()]
    if bad:
        raise StoreError(f"{path} holds draws that are not finite: {', '.join(bad)}")
    known = store.record(FITS, key)
    if known is not None and known["status"] == "ok":
        return key, True
    # Chains that began here are not those of the file: a longer fit must not go on from their states.
    for kind in (CHAINS, STATES):
        for part in [part for part in store.keys(kind) if part.startswith(f"{key}-")]:
            store.remove(kind, part)
    files = {field: record[field] for field in map(field_of, FIT_KINDS) if field in record}
    store.write(FITS, key, changed(record), {DRAWS: lambda place: write_draws(place, draws, files)})
    return key, False


def file_name(fit: FitSpec, labels: tuple[str, str, str], seeds: int) -> str:
    """The name of the file of a fit, from the labels of data set, network and posterior, and the number of seeds."""
    seed = f"-seed{fit.seed}" if seeds > 1 else ""
    dataset, network, posterior = (re.sub(r"[^A-Za-z0-9._=-]", "_", label) for label in labels)
    return f"{dataset}-{network}-{posterior}{seed}-{fit.key[:8]}.safetensors"


def sum_of_draws(draws: Draws) -> str:
    """The sha256 of the names, types, shapes and bytes of draws: safetensors has no checksum."""
    total = hashlib.sha256()
    for group in (draws.arrays, draws.shared):
        for name, array in sorted(group.items()):
            total.update(json.dumps([name, array.dtype.str, array.shape]).encode())
            total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()


def _key(path: Path, record: dict[str, Any]) -> str:
    """The key of a fit by its record. Raises `StoreError` if the record cannot be that of a finished fit."""
    try:
        check_fields(with_defaults(record))
        if len(json.dumps(record, indent=1, allow_nan=False)) > LARGEST_RECORD // 2:
            raise ValueError("it is too large")
        whole = record["kind"] == "fit" and record["status"] == "ok" and _is_card(record["card"])
        parts = ("schema", "kind", "dataset", "network", "posterior", "seed")
        if not whole or any(part not in record["identity"] for part in parts):
            raise ValueError("it is not that of a finished fit")
        return key_of(record["identity"])
    except (KeyError, TypeError, ValueError, StoreError, RecursionError) as error:
        raise StoreError(f"{path}: its record of a fit is wrong: {one_line(str(error), 200)}") from error


def _is_card(card: Any) -> bool:
    """Whether a value is a card that tables and messages can name."""
    return isinstance(card, dict) and all(isinstance(card.get(name), str) for name in ("level", "why"))
