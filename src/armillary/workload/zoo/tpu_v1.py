"""Workloads of the TPU v1 paper: mlp0, mlp1, lstm0, cnn0.

In:  a vector, a sequence of vectors, or the planes of a board (batch, 48, 19, 19). Out: the output of the last layer.
The paper gives, and these graphs keep, the kind and number of layers and the weights (recalled: 20, 5, 52 and 8 M); the
shapes are ours. Equal square layers for the multilayer perceptrons; six LSTM layers, whose gates make 24 fully
connected ones; sixteen convolutions of 256 channels, a width of the array, on a Go board: 8 boards of 361 points make
the 2888 operations a weight byte that the paper tells.
The other two (LSTM1, CNN1) are not described closely enough.
Source: Jouppi et al., ISCA 2017, table 1.
"""

from __future__ import annotations

from armillary.workload.builder import Feature, Network
from armillary.workload.graph import Activation

_RELU = Activation.RELU


def mlp0(network: Network, batch: int) -> Feature:
    """Five dense layers of 2000."""
    return _perceptron(network, batch, layers=5, units=2000)


def mlp1(network: Network, batch: int) -> Feature:
    """Four dense layers of 1120."""
    return _perceptron(network, batch, layers=4, units=1120)


def lstm0(network: Network, batch: int, sequence: int) -> tuple[Feature, ...]:
    """Six LSTM layers of 1040 units."""
    x = network.input("features", (batch, sequence, 1040)).steps_first("steps")
    for index in range(1, 7):
        x = x.lstm(f"lstm{index}", 1040)
    return (x,)


def cnn0(x: Feature) -> Feature:
    """Fourteen 3x3 convolutions of 256 channels, then two 1x1."""
    for index in range(1, 17):
        kernel = 3 if index <= 14 else 1
        x = x.conv(f"conv{index}", 256, kernel, bias=True).activation(f"conv{index}/relu", _RELU)
    return x


def _perceptron(network: Network, batch: int, *, layers: int, units: int) -> Feature:
    x = network.input("features", (batch, units))
    for index in range(1, layers + 1):
        x = x.dense(f"dense{index}", units).activation(f"dense{index}/relu", _RELU)
    return x
