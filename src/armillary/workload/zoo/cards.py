"""One card a network: what it is, where its builder lives, and the published figures that its graph must meet.

In:  a name. Out: its `Card`, or its `Graph` from the builder that the card names.
A builder is a function `(x: Feature) -> Feature` from the input image to the logits, `(x: Feature, width: float)` where
the family defines a width multiplier, named here as "module:function" and loaded on first use.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Final

from armillary.errors import InputError, canonical_name, unknown_name
from armillary.workload.builder import Feature, Network
from armillary.workload.graph import Graph
from armillary.workload.precision import with_dtype

_ZOO: Final = "armillary.workload.zoo"
_TORCHVISION: Final = "torchvision 0.28 definition, conv and dense MACs, BN as two values a channel"
_TIMM: Final = "timm 1.0.31 definition, conv and dense MACs, BN as two values a channel"


@dataclass(frozen=True, slots=True)
class Card:
    """A network of the zoo.

    `reference_macs` and `reference_parameters` are the published counts at `reference_resolution`, batch 1, width 1,
    1000 classes; one multiply-accumulate counts once.
    """

    name: str
    summary: str
    builder: str
    resolution: int  # default, pixels a side
    reference_resolution: int
    reference_macs: float
    reference_parameters: float
    source: str
    scales_width: bool = False  # does the builder know a width multiplier?


_CARDS: Final[tuple[Card, ...]] = (
    Card(
        "mobilenet_v1",
        "Depthwise-separable convolutions throughout, made for phones (Howard et al. 2017)",
        f"{_ZOO}.mobilenet:mobilenet_v1",
        224,
        224,
        569e6,
        4.232e6,
        _TIMM,
        scales_width=True,
    ),
    Card(
        "mobilenet_v2",
        "Inverted residuals with linear bottlenecks (Sandler et al. 2018)",
        f"{_ZOO}.mobilenet:mobilenet_v2",
        224,
        224,
        301e6,
        3.505e6,
        _TORCHVISION,
        scales_width=True,
    ),
    Card(
        "resnet18",
        "Residual network of two-convolution blocks (He et al. 2015)",
        f"{_ZOO}.resnet:resnet18",
        224,
        224,
        1.814e9,
        11.690e6,
        _TORCHVISION,
    ),
    Card(
        "resnet50",
        "Residual network of bottleneck blocks, stride in the 3x3 convolution (He et al. 2015)",
        f"{_ZOO}.resnet:resnet50",
        224,
        299,
        7.628e9,
        25.557e6,
        _TORCHVISION,
    ),
    Card(
        "resnet152",
        "The deepest of the original bottleneck residual networks (He et al. 2015)",
        f"{_ZOO}.resnet:resnet152",
        224,
        299,
        21.302e9,
        60.193e6,
        _TORCHVISION,
    ),
    Card(
        "inception_v1",
        "GoogLeNet without auxiliary heads: four parallel branches a module (Szegedy et al. 2014)",
        f"{_ZOO}.inception:inception_v1",
        224,
        224,
        1.498e9,
        6.625e6,
        _TORCHVISION,
    ),
    Card(
        "vgg16",
        "Plain stack of 3x3 convolutions with three very large dense layers (Simonyan and Zisserman 2014)",
        f"{_ZOO}.vgg:vgg16",
        224,
        224,
        15.470e9,
        138.358e6,
        _TORCHVISION,
    ),
    Card(
        "vgg19",
        "VGG with sixteen convolutions (Simonyan and Zisserman 2014)",
        f"{_ZOO}.vgg:vgg19",
        224,
        224,
        19.632e9,
        143.667e6,
        _TORCHVISION,
    ),
    Card(
        "squeezenet",
        "SqueezeNet 1.0: fire modules that squeeze, then expand (Iandola et al. 2016)",
        f"{_ZOO}.squeezenet:squeezenet",
        224,
        224,
        819e6,
        1.248e6,
        _TORCHVISION,
    ),
    Card(
        "efficientnet_edgetpu_s",
        "EfficientNet searched on an Edge TPU model: fused blocks, ReLU (Gupta and Tan 2019)",
        f"{_ZOO}.efficientnet_edgetpu:small",
        224,
        224,
        1788.7e6,
        5.438e6,
        _TIMM,
    ),
    Card(
        "efficientnet_edgetpu_m",
        "EfficientNet-EdgeTPU-S with depth 1.1 at 240 pixels (Gupta and Tan 2019)",
        f"{_ZOO}.efficientnet_edgetpu:medium",
        240,
        240,
        3013.3e6,
        6.899e6,
        _TIMM,
    ),
    Card(
        "efficientnet_edgetpu_l",
        "EfficientNet-EdgeTPU-S with width 1.2 and depth 1.4 at 300 pixels (Gupta and Tan 2019)",
        f"{_ZOO}.efficientnet_edgetpu:large",
        300,
        300,
        7936.1e6,
        10.590e6,
        _TIMM,
    ),
)


def cards() -> tuple[Card, ...]:
    """All networks of the zoo, by family."""
    return _CARDS


def names() -> tuple[str, ...]:
    """Names of all networks, in the order of `cards`."""
    return tuple(entry.name for entry in _CARDS)


def card(name: str) -> Card:
    """Return the card of a network.

    Raises:
        InputError: there is no such network; lists the nearest names.
    """
    for entry in _CARDS:
        if canonical_name(entry.name) == canonical_name(name):
            return entry
    raise unknown_name("model", name, names())


def build(
    name: str, *, resolution: int | None = None, batch: int = 1, width: float = 1.0, dtype: str = "int8"
) -> Graph:
    """Build a network of the zoo.

    Args:
        name: see `names()`; case, `-` and `_` do not count.
        resolution: height and width of the image, pixels; None is the network's own.
        batch: images an inference.
        width: channel multiplier of the networks that define one.
        dtype: element type, see `precision.with_dtype`.

    Raises:
        InputError: unknown name or dtype, a size that is not positive, a resolution that is too small, or a width
            where none is defined.
    """
    entry = card(name)
    pixels = entry.resolution if resolution is None else resolution
    if pixels < 1 or batch < 1:
        raise InputError(f"resolution {pixels} and batch {batch} must be at least 1", where=entry.name)
    if width != 1.0 and not entry.scales_width:
        wide = [other.name for other in _CARDS if other.scales_width]
        raise InputError(
            f"no width multiplier is defined, got {width}", where=entry.name, hint=f"it is for {', '.join(wide)}"
        )
    if not 0.0 < width <= 16.0:
        raise InputError(f"width {width} is outside (0, 16]", where=entry.name)
    builder: Callable[..., Feature] = resolve_name(entry.builder)
    network = Network(entry.name)
    image = network.input("image", (batch, 3, pixels, pixels))
    logits = builder(image, width) if entry.scales_width else builder(image)
    return with_dtype(network.graph(logits), dtype)
