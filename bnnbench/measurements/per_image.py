"""What attacks and certificates share: results for each image, and how their cells are restored and shown."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, SupportsIndex, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from bnnbench.core.threat import Threat
from bnnbench.measurements.findings import Findings
from bnnbench.measurements.measurement import Context, Measurement, Notes
from bnnbench.measurements.shown import frame_of, lines_of, table_of
from bnnbench.statistics import metrics
from bnnbench.statistics.intervals import wilson

if TYPE_CHECKING:
    import pandas


class PerImage(ABC):
    """The base of results about N images of K classes under one threat.

    A subclass is a frozen dataclass with the arrays and labels below. `kind` is the kind of the component that it is a
    result of, and `word` says in one word what `holds` is.
    """

    kind: ClassVar[str]
    word: ClassVar[str]
    if TYPE_CHECKING:  # The subclasses are dataclasses: an annotation outside would not be one of their fields.

        @property
        def index(self) -> NDArray[Any]: ...
        @property
        def label(self) -> NDArray[Any]: ...
        @property
        def clean_log_probs(self) -> NDArray[Any]: ...
        @property
        def draws(self) -> int: ...
        @property
        def threat(self) -> Threat | None: ...
        @property
        def dataset(self) -> str: ...
        @property
        def posterior(self) -> str: ...

    @property
    @abstractmethod
    def holds(self) -> NDArray[np.bool_]:
        """At which images the claim of the result holds, (N,)."""

    @property
    @abstractmethod
    def counterexample(self) -> NDArray[np.bool_] | None:
        """At which images an input of another class than the label was found, (N,); None if none was looked for."""

    @property
    @abstractmethod
    def findings(self) -> Findings:
        """What limits or refutes the result as evidence: plain texts, each with a severity."""

    @abstractmethod
    def columns(self) -> dict[str, Any]:
        """The arrays (N,) of a data frame by column, without what the result is about."""

    @property
    def method(self) -> str:
        """The label of the attack or certificate, or the name of its class; may be empty."""
        return str(getattr(self, self.kind))

    def __len__(self) -> int:
        return len(self.label)

    def __repr__(self) -> str:
        return lines_of(self)

    def _repr_html_(self) -> str:
        return table_of(type(self), [self])

    def frame(self) -> pandas.DataFrame:
        """A pandas data frame with a row for each image.

        Its columns are the arrays (N,) of the result, the predicted classes, the log-probabilities of the label, and
        the threat's `norm` and `epsilon`. `epsilon_text` is the radius as text, such as `8/255`. `index` is the
        position in the test set.
        """
        return frame_of([self])

    @property
    def clean_correct(self) -> NDArray[np.bool_]:
        """Whether each clean image is classified correctly, (N,)."""
        return metrics.correct(self.clean_log_probs, self.label)

    @property
    def constant(self) -> bool:
        """Whether all clean images are given the same class although they have several labels."""
        return len(set(self.label.tolist())) > 1 and len(set(self.clean_log_probs.argmax(-1).tolist())) == 1

    @property
    def clean_accuracy(self) -> float:
        """The share of clean images that are classified correctly, in [0, 1]."""
        return float(self.clean_correct.mean())

    @property
    def clean_interval(self) -> tuple[float, float]:
        """The 95% Wilson interval of the clean accuracy."""
        return wilson(int(self.clean_correct.sum()), len(self))

    @property
    def share(self) -> float:
        """The share of images at which the claim holds, in [0, 1]."""
        return float(self.holds.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% Wilson interval of this share."""
        return wilson(int(self.holds.sum()), len(self))


Result = TypeVar("Result", bound=PerImage)


class Curve(list[Result], Generic[Result]):
    """The results of one attack or certificate under several threats, in their order. A slice of them is one too."""

    of: ClassVar[type[PerImage]]

    @overload
    def __getitem__(self, place: SupportsIndex) -> Result: ...

    @overload
    def __getitem__(self, place: slice) -> Self: ...

    def __getitem__(self, place: SupportsIndex | slice) -> Result | Self:
        return type(self)(super().__getitem__(place)) if isinstance(place, slice) else super().__getitem__(place)

    def __repr__(self) -> str:
        return "\n".join(map(repr, self)) or f"no {type(self).__name__.lower()}"

    def _repr_html_(self) -> str:
        return table_of(self.of, self)

    def frame(self) -> pandas.DataFrame:
        """A pandas data frame with a row for each image of each result; `epsilon` tells the results apart."""
        return frame_of(self)


class PerImageMeasurement(Measurement):
    """The base of measurements whose results are `PerImage`: what is the same in how these are restored and shown."""

    needs_threat: ClassVar[bool] = True
    result: ClassVar[type[Any]]
    """The class of the results, a `PerImage`."""
    figure_names: ClassVar[tuple[str, ...]]
    """The figures of a row, in the order of its columns: attributes of a result, `images`, and ends of intervals."""
    ends: ClassVar[tuple[str, str]]
    """The names of the two figures that are the ends of the interval of a result's share."""

    def restored(self, values: Mapping[str, Any], context: Context) -> Any:
        """The result with these arrays and numbers, and with the threat and labels of the context.

        The component is not looked at: figures of stored results are shown where it is not installed, too.
        """
        labels = {"dataset": context.dataset, "posterior": context.posterior, self.result.kind: context.label}
        return self.result(**values, **labels, threat=context.threat)

    def row(self, result: Any | None) -> dict[str, Any]:
        """The figures of a result by name: accuracies with intervals, and what else `figure_names` names."""
        if result is None:
            return dict.fromkeys(self.figure_names)
        ends = dict(zip(("clean_low", "clean_high", *self.ends), result.clean_interval + result.interval, strict=True))
        figures = {"images": len(result), **ends}
        return {name: figures[name] if name in figures else getattr(result, name) for name in self.figure_names}

    def notes(self, result: Any) -> Notes:
        """The marks of the result's findings, with their texts."""
        return {finding.mark: finding.text for finding in result.findings}
