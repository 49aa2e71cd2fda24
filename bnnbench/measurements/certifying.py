"""Certify a predictive from a program, without a benchmarks file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

from bnnbench.core import arguments
from bnnbench.core.certificate import Certificate
from bnnbench.core.dataset import Data
from bnnbench.core.draws import Progress
from bnnbench.core.progress_bar import shown_progress
from bnnbench.core.threat import Threat
from bnnbench.measurements.asked import Radius, asked_of
from bnnbench.measurements.certificate import CertificateMeasurement
from bnnbench.measurements.certification import Certification, Certifications


@overload
def certify(
    predictive: Any,
    certificate: Certificate,
    data: Data,
    *,
    epsilon: Radius | None = None,
    threat: Threat | None = None,
    images: int = 500,
    draws: int | None = None,
    allow_whole_box: bool = False,
    progress: bool | Progress | None = None,
) -> Certification: ...


@overload
def certify(
    predictive: Any,
    certificate: Certificate,
    data: Data,
    *,
    epsilon: Sequence[Radius] | None = None,
    threat: Sequence[Threat] | None = None,
    images: int = 500,
    draws: int | None = None,
    allow_whole_box: bool = False,
    progress: bool | Progress | None = None,
) -> Certifications: ...


@arguments.told_names
def certify(
    predictive: Any,
    certificate: Certificate,
    data: Data,
    *,
    epsilon: Radius | Sequence[Radius] | None = None,
    threat: Threat | Sequence[Threat] | None = None,
    images: int = 500,
    draws: int | None = None,
    allow_whole_box: bool = False,
    progress: bool | Progress | None = None,
) -> Certification | Certifications:
    """What a certificate proves about N test images under one threat, or a list of certifications under several.

    Args:
        predictive: a predictive, or a model of which `bnnbench.predictive` makes one, such as a torch module.
        certificate: the certificate.
        data: the data. Only the test sample is used. The box of the threat is that of the data.
        epsilon: the radius of an l-infinity ball in the data's units. Exactly one of `epsilon` and `threat` is given. A
            list gives a list of certifications.
        threat: the threat model, or a list of threat models that differ in norm and epsilon alone.
        images: the largest N. The images are the first of one fixed shuffle of the test set, as in `evaluate`.
        draws: the largest number of draws that defend; all by default.
        allow_whole_box: whether the ball may hold the whole box. Such a radius is most often one in other units.
        progress: whether a bar is shown (by default none); or a function that is called with what is done, of how much,
            and a note.

    Raises `TypeError` or `ValueError` for wrong arguments, a threat with another box included; `Incompatible` if the
    certificate cannot treat the network or the threat; `ContractBreach` if the certificate breaks a rule, or claims
    what the clean predictions contradict.
    """
    meant = "a certificate, such as bnnbench.certificate('interval')"
    arguments.instance_of(certificate, Certificate, argument="certificate", meant=meant)
    asked = asked_of(
        "certify",
        predictive,
        data,
        epsilon=epsilon,
        threat=threat,
        images=images,
        draws=draws,
        seed=0,
        allow_whole_box=allow_whole_box,
    )
    with shown_progress(False if progress is None else progress, type(certificate).__name__) as report:
        found = CertificateMeasurement(certificate).run(asked.defence, asked.threats, "few", report)
    return Certifications(found) if asked.several else found[0]
