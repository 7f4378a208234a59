"""Find the functions that exporters write out in pieces, and make each one operator again.

In:  a `Graph` as importers deliver it, and what the target runs as one operator (None: everything).
Out: the same graph in which hard swish, hard sigmoid, swish, gelu, layer and RMS norm are single operators, and a scale
and shift behind a convolution are a batch norm, which compilers fold.
Values of constants are not known: a pattern is told by its structure and by constants of one element. That makes
x clip(x + a) b a hard swish whatever a and b are, which costs the same. Nothing is merged whose inner tensors somebody
else reads.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

from armillary.workload.graph import Activation, Graph, Operator, OpKind

_WEIGHTED = frozenset({OpKind.CONV, OpKind.DEPTHWISE, OpKind.CONV_TRANSPOSE, OpKind.GEMM})


@dataclass(frozen=True, slots=True)
class _Match:
    """Operators that are one function; the last one's place and output are kept."""

    pieces: tuple[Operator, ...]
    kind: OpKind
    inputs: tuple[str, ...]
    activation: Activation | None = None


def recognise(graph: Graph, only: Collection[str] | None = None) -> Graph:
    """Return `graph` with the functions found put together.

    Args:
        graph: operators with the importer's names in `source_op`.
        only: names of activations and operator kinds ("hard_swish", "norm") worth putting together: those that the
            target runs as one; others are better left in pieces. Batch norms are always put together.
    """
    taken: dict[str, Operator | None] = {}
    for match in _matches(graph):
        named: str = match.kind if match.activation is None else match.activation
        wanted = only is None or named in only or match.kind is OpKind.BATCH_NORM
        if wanted and not any(piece.name in taken for piece in match.pieces):
            last = match.pieces[-1]
            taken.update(dict.fromkeys((piece.name for piece in match.pieces), None))
            taken[last.name] = Operator(last.name, match.kind, match.inputs, last.outputs, activation=match.activation)
    if not taken:
        return graph
    kept = tuple(op for op in (taken.get(op.name, op) for op in graph.operators) if op is not None)
    inner = {name for op in graph.operators for name in op.outputs} - {name for op in kept for name in op.outputs}
    tensors = {name: tensor for name, tensor in graph.tensors.items() if name not in inner}
    return replace(graph, tensors=tensors, operators=kept)


def _matches(graph: Graph) -> Iterator[_Match]:
    """Yield what is found; hard swish before batch norm, whose shift looks like its first piece."""
    for find in (_gated, _normed, _scaled_and_shifted):
        for op in graph.operators:
            match = find(_View(graph), op)
            if match is not None:
                yield match


@dataclass(frozen=True, slots=True)
class _View:
    """Steps along a graph; each gives None where the step cannot be taken."""

    graph: Graph

    def writer(self, tensor: str) -> Operator | None:
        """The operator that writes `tensor`, if that one has a single reader."""
        return self.graph.producer.get(tensor) if self.reader(tensor) is not None else None

    def reader(self, tensor: str) -> Operator | None:
        """The only operator that reads `tensor`, which is no output of the graph."""
        readers = self.graph.consumers[tensor]
        return readers[0] if len(readers) == 1 and tensor not in self.graph.outputs else None

    def scalar(self, op: Operator | None, kinds: Collection[OpKind], source_op: str = "") -> str | None:
        """The activation that `op`, of one of `kinds` (or so named in its file), joins with one constant element."""
        if op is None or len(op.inputs) != 2 or not (op.kind in kinds or (source_op and op.source_op == source_op)):
            return None
        data, other = (self.graph.tensors[name] for name in op.inputs)
        return data.name if other.constant and other.elements == 1 and not data.constant else None

    def scaled(self, op: Operator | None) -> str | None:
        """The activation that `op` multiplies or divides by a constant of one element."""
        return self.scalar(op, (OpKind.MUL,), "Div")

    def constant_joined(self, op: Operator | None, kind: OpKind, channels: int, axis: int) -> str | None:
        """The constant that `op` joins with an activation: one element, or one a channel along `axis`."""
        if op is None or op.kind is not kind or len(op.inputs) != 2 or self.graph.tensors[op.inputs[0]].constant:
            return None
        constant, rank = self.graph.tensors[op.inputs[1]], len(self.graph.tensors[op.inputs[0]].shape)
        # Shapes align at the end: (channels, 1, 1) and (1, channels, 1, 1) are along axis 1 of four.
        along = dict(enumerate(constant.shape, start=rank - len(constant.shape)))
        fits = constant.elements == 1 or (constant.elements == channels == along.get(axis))
        return constant.name if constant.constant and fits else None


def _gated(view: _View, op: Operator) -> _Match | None:
    """Activations around a clip, a sigmoid, an error function or a hyperbolic tangent."""
    if op.kind is not OpKind.ACTIVATION or len(op.inputs) != 1:
        return None
    find: Callable[[_View, Operator], _Match | None] | None = None
    if op.activation in (Activation.CLIP, Activation.RELU6):
        find = _hard
    elif op.activation in (Activation.SIGMOID, Activation.HARD_SIGMOID):
        find = _swish
    elif op.source_op == "Erf" or op.activation is Activation.TANH:
        find = _gelu
    return None if find is None else find(view, op)


def _hard(view: _View, clip: Operator) -> _Match | None:
    """clip(x + a) b, clip(b x + a): hard sigmoid; times x: hard swish. Scale and product come in either order."""
    shift = view.writer(clip.inputs[0])
    source = view.scalar(shift, (OpKind.ADD,))
    if shift is None or source is None:
        return None
    before, scaled = [shift], False
    inner = view.writer(source)
    if inner is not None and (scaled_from := view.scaled(inner)) is not None:
        before, source, scaled = [inner, shift], scaled_from, True
    after, gated = [clip], False
    while (reader := view.reader(after[-1].outputs[0])) is not None:
        if not scaled and view.scaled(reader) is not None:
            scaled = True
        elif not gated and _multiplies(reader, after[-1].outputs[0], source):
            gated = True
        else:
            break
        after.append(reader)
    if not scaled:
        return None
    activation = Activation.HARD_SWISH if gated else Activation.HARD_SIGMOID
    return _Match((*before, *after), OpKind.ACTIVATION, (source,), activation)


def _swish(view: _View, gate: Operator) -> _Match | None:
    """Product of x and sigmoid(x) or sigmoid(a x): swish; of x and hard_sigmoid(x): hard swish."""
    product = view.reader(gate.outputs[0])
    if product is None:
        return None
    source, written = gate.inputs[0], gate.outputs[0]
    if _multiplies(product, written, source):
        soft = gate.activation is Activation.SIGMOID
        named = Activation.SWISH if soft else Activation.HARD_SWISH
        return _Match((gate, product), OpKind.ACTIVATION, (source,), named)
    scale = view.writer(source)
    inner = view.scaled(scale)
    if scale is None or inner is None or not _multiplies(product, written, inner):
        return None
    return _Match((scale, gate, product), OpKind.ACTIVATION, (inner,), Activation.SWISH)


def _gelu(view: _View, curve: Operator) -> _Match | None:
    """x/2 (1 + erf(a x)), or with tanh(a (x + b x^3)) for the error function; the half stands at any place."""
    scale = view.writer(curve.inputs[0])
    source = view.scaled(scale)
    if scale is None or source is None:
        return None
    before = [scale]
    if curve.activation is Activation.TANH:
        cubic = _with_cube(view, source)
        if cubic is None:
            return None
        source, pieces = cubic
        before = [*pieces, scale]
    shift = view.reader(curve.outputs[0])
    if shift is None or view.scalar(shift, (OpKind.ADD,)) is None:
        return None
    after, gated, halved = [curve, shift], False, False
    while (reader := view.reader(after[-1].outputs[0])) is not None:
        half = _scaled_factor(view, reader, after[-1].outputs[0], source)
        if not halved and view.scaled(reader) is not None:
            halved = True
        elif not gated and _multiplies(reader, after[-1].outputs[0], source):
            gated = True
        elif not gated and not halved and half is not None:
            before.append(half)
            gated = halved = True
        else:
            break
        after.append(reader)
    return _Match((*before, *after), OpKind.ACTIVATION, (source,), Activation.GELU) if gated else None


def _scaled_factor(view: _View, product: Operator, one: str, source: str) -> Operator | None:
    """The operator that scales `source` for its product with `one`."""
    others = [name for name in product.inputs if name != one]
    if product.kind is not OpKind.MUL or len(others) != 1:
        return None
    factor = view.writer(others[0])
    return factor if view.scaled(factor) == source else None


def _with_cube(view: _View, total: str) -> tuple[str, list[Operator]] | None:
    """Take x + b x^3 apart: x and the pieces."""
    addition = view.writer(total)
    if addition is None or addition.kind is not OpKind.ADD or len(addition.inputs) != 2:
        return None
    for source, term in (addition.inputs, addition.inputs[::-1]):
        cube = _powers(view, term, source)
        if cube is not None and cube[0] == 3:
            return source, [*cube[1], addition]
    return None


def _powers(view: _View, tensor: str, source: str, depth: int = 0) -> tuple[int, list[Operator]] | None:
    """How often `source` is a factor of `tensor`, constants of one element aside, and the operators that multiply.

    A power of unknown exponent counts as the third.
    """
    if tensor == source:
        return 1, []
    op = view.writer(tensor)
    if op is None or depth > 3:
        return None
    if view.scalar(op, (), "Pow") == source:
        return 3, [op]
    if op.kind is not OpKind.MUL or len(op.inputs) != 2:
        return None
    one = view.scaled(op)
    factors = op.inputs if one is None else (one,)
    found = [_powers(view, name, source, depth + 1) for name in factors]
    degree = sum(part[0] for part in found if part is not None)
    return None if None in found else (degree, [*(piece for part in found if part for piece in part[1]), op])


def _normed(view: _View, root: Operator) -> _Match | None:
    """(x - mean(x)) / sqrt(mean((x - mean(x))^2) + a) c + d: layer norm; without the subtraction: RMS norm."""
    if root.source_op != "Sqrt":
        return None
    shift = view.writer(root.inputs[0])
    variance = view.scalar(shift, (OpKind.ADD,))
    mean = view.writer(variance) if variance is not None else None
    if shift is None or mean is None or mean.kind is not OpKind.REDUCE:
        return None
    square = view.writer(mean.inputs[0])
    if square is None or not _is_square(view, square, square.inputs[0]):
        return None
    centred, pieces = square.inputs[0], [square, mean, shift, root]
    last = view.reader(root.outputs[0])
    if last is not None and last.source_op == "Reciprocal":
        pieces.append(last)
        last = view.reader(last.outputs[0])
        if last is None or not _multiplies(last, pieces[-1].outputs[0], centred):
            return None
    elif last is None or last.source_op != "Div" or last.inputs != (centred, root.outputs[0]):
        return None
    pieces.append(last)
    source = centred
    centring = _centring(view, centred, (square, last))
    if centring is not None:
        source, mean_of = centring[0], centring[1]
        pieces = [*mean_of, *pieces]
    constants: list[str] = []
    features = view.graph.tensors[source].shape
    for kind in (OpKind.MUL, OpKind.ADD):
        reader = view.reader(pieces[-1].outputs[0])
        constant = view.constant_joined(reader, kind, features[-1], len(features) - 1)
        if reader is None or constant is None:
            break
        constants.append(constant)
        pieces.append(reader)
    return _Match(tuple(pieces), OpKind.NORM, (source, *constants))


def _centring(view: _View, centred: str, readers: tuple[Operator, Operator]) -> tuple[str, list[Operator]] | None:
    """Take x - mean(x) apart, if none but `readers` reads it: x and the two pieces."""
    difference = view.graph.producer.get(centred)
    if difference is None or difference.source_op != "Sub" or len(difference.inputs) != 2:
        return None
    if {op.name for op in view.graph.consumers[centred]} != {op.name for op in readers}:
        return None
    source, average = difference.inputs
    mean = view.writer(average)
    if mean is None or mean.kind is not OpKind.REDUCE or mean.inputs[0] != source or centred in view.graph.outputs:
        return None
    return source, [mean, difference]


def _scaled_and_shifted(view: _View, weighted: Operator) -> _Match | None:
    """Product and sum with constants, one a channel or one for all, behind a convolution or gemm: a batch norm."""
    if weighted.kind not in _WEIGHTED:
        return None
    shape = view.graph.tensors[weighted.outputs[0]].shape
    axis = len(shape) - 1 if weighted.kind is OpKind.GEMM else 1
    scale = view.reader(weighted.outputs[0])
    factor = view.constant_joined(scale, OpKind.MUL, shape[axis], axis)
    if scale is None or factor is None:
        return None
    shift = view.reader(scale.outputs[0])
    offset = view.constant_joined(shift, OpKind.ADD, shape[axis], axis)
    if shift is None or offset is None:
        return None
    return _Match((scale, shift), OpKind.BATCH_NORM, (weighted.outputs[0], factor, offset))


def _multiplies(op: Operator, one: str, other: str) -> bool:
    return op.kind is OpKind.MUL and sorted(op.inputs) == sorted((one, other))


def _is_square(view: _View, op: Operator, source: str) -> bool:
    return _multiplies(op, source, source) or view.scalar(op, (), "Pow") == source
