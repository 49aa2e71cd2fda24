"""Parameters that are data sets."""

from __future__ import annotations

from typing import Annotated

from bnnbench.core.component_parameter import component_parameter
from bnnbench.core.dataset import Dataset

DatasetParameter = Annotated[Dataset, *component_parameter("dataset")]
"""The type of a parameter that takes a data set: an instance, a registered name, or a mapping with `use`."""
