"""Cards of the networks of MLPerf Tiny.

In:  nothing. Out: `TINY_CARDS`. Counts are of the reference models as deployed: batch norm as two values a channel, the
bias in front of it folded away. The totals that their Keras summaries print count three values a channel more.
"""

from __future__ import annotations

from typing import Final

from armillary.workload.zoo.card import Card

_ZOO: Final = "armillary.workload.zoo"
_TINY: Final = "training code of mlcommons/tiny v1.3, counted by its layers; Keras total {} (recalled)"
_WAKE_WORD: Final = (
    "streaming wake word of mlcommons/tiny v1.3; layers recalled, counted by them, and held against the cycles of Vela"
)

TINY_CARDS: Final[tuple[Card, ...]] = (
    Card(
        "mlperf_tiny_kws",
        "MLPerf Tiny keyword spotting: DS-CNN on 49 x 10 MFCC, 12 words (Banbury et al. 2021)",
        f"{_ZOO}.mlperf_tiny:keyword_spotting",
        None,
        None,
        2_656_768,
        23_180,
        _TINY.format("24,908"),
    ),
    Card(
        "mlperf_tiny_vww",
        "MLPerf Tiny visual wake words: MobileNet V1 0.25, person or not (Banbury et al. 2021)",
        f"{_ZOO}.mlperf_tiny:person_detection",
        96,
        96,
        7_489_664,
        213_586,
        _TINY.format("221,794"),
    ),
    Card(
        "mlperf_tiny_ic",
        "MLPerf Tiny image classification: ResNet-8 on CIFAR-10 (Banbury et al. 2021)",
        f"{_ZOO}.mlperf_tiny:image_classes",
        32,
        32,
        12_501_632,
        77_946,
        _TINY.format("78,666"),
    ),
    Card(
        "mlperf_tiny_ad",
        "MLPerf Tiny anomaly detection: dense autoencoder of 640 mel values (Banbury et al. 2021)",
        f"{_ZOO}.mlperf_tiny:anomaly_detection",
        None,
        None,
        264_192,
        266_896,
        _TINY.format("269,992"),
    ),
    Card(
        "mlperf_tiny_sww",
        "MLPerf Tiny streaming wake word: depthwise-separable convolutions along time, 3 classes",
        f"{_ZOO}.mlperf_tiny:streaming_wake_word",
        None,
        None,
        826_368,
        46_875,
        _WAKE_WORD,
    ),
)
