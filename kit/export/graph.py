"""Build an ONNX graph, by hand and from functions that JAX traces.

All operators are standard ones of opset 18, which onnxruntime and onnxruntime-web have.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import onnx
from jax import export
from jax.extend import core as jex
from jax.interpreters.partial_eval import dce_jaxpr
from onnx import TensorProto, helper, numpy_helper

from kit.errors import UsageError

_END = np.iinfo(np.int64).max
_UNKNOWN = "the network has {}, which `kit export` does not write to ONNX; use --to stablehlo"


class Graph:
    """Nodes and constants of a graph; a value is known by its name."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def constant(self, value: Any, dtype: Any = None) -> str:
        """Return the name of a new constant."""
        name = f"constant{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def add(self, op: str, *inputs: Any, **attributes: Any) -> str:
        """Add a node and return the name of its output.

        Args:
            op: ONNX's name of the operator.
            inputs: names, integers (int64) and other numbers (float32), and arrays of them.
            attributes: of the operator.
        """
        names = [x if isinstance(x, str) else self._number(x) for x in inputs]
        made = f"value{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, names, [made], **attributes))
        return made

    def _number(self, value: Any) -> str:
        return self.constant(value, np.float32 if np.asarray(value).dtype.kind == "f" else np.int64)

    def slice(self, x: str, start: int, end: int, axis: int) -> str:
        """Return a part of `x` along one axis."""
        return self.add("Slice", x, [start], [end], [axis])

    def size(self, x: str, axis: int) -> str:
        """Return the size of an axis, int64 of shape (1,)."""
        return self.add("Shape", x, start=axis, end=axis + 1)

    def function(self, function: Callable[[Any], Any], x: str, shape: Sequence[int]) -> str:
        """Add the nodes of a function that JAX can trace.

        Args:
            function: from one float32 array to another.
            x: its input, (batch, *shape) for any batch.
            shape: the input's other sizes.
        Raises:
            UsageError: the function has an operation without a counterpart here.
        """
        (batch,) = export.symbolic_shape("batch")
        closed = jax.make_jaxpr(function)(jax.ShapeDtypeStruct((batch, *shape), np.float32))
        # Remove what no output needs, such as the random numbers of dropout.
        jaxpr, _ = dce_jaxpr(closed.jaxpr, [True], instantiate=True)
        return self._outputs(jaxpr, closed.consts, [x], self.size(x, 0))[0]

    def model(self, y: str, classes: int, about: dict[str, str]) -> onnx.ModelProto:
        """Return the model from "waveform" (batch, samples) to `y`, "probabilities".

        Args:
            y: a value of shape (batch, classes).
            classes: number of labels.
            about: text for the model's metadata.
        """
        self._nodes.append(helper.make_node("Identity", [y], ["probabilities"]))
        shapes = {"waveform": ("batch", "samples"), "probabilities": ("batch", classes)}
        ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()]
        graph = helper.make_graph(self._nodes, "kit", ends[:1], ends[1:], self._constants)
        opsets = [helper.make_opsetid("", 18)]
        # The oldest format that has opset 18: newer runtimes read it too.
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        helper.set_model_props(model, about)
        onnx.checker.check_model(model, full_check=True)
        return model

    def _outputs(self, jaxpr: Any, consts: Any, inputs: Sequence[Any], batch: str) -> list[Any]:
        """Return the outputs of a jaxpr: names, or arrays if they depend on no input."""
        known = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *inputs), strict=True))

        def read(atom: Any) -> Any:
            literal = isinstance(atom, jex.Literal)
            return np.asarray(atom.val, atom.aval.dtype) if literal else known[atom]  # pyright: ignore[reportAttributeAccessIssue]

        for eqn in jaxpr.eqns:
            found = self._equation(eqn, [read(atom) for atom in eqn.invars], batch)
            known.update(zip(eqn.outvars, found, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def _equation(self, eqn: Any, values: list[Any], batch: str) -> Sequence[Any]:
        name = eqn.primitive.name
        if name in _CALLS:
            inner = eqn.params.get("jaxpr") or eqn.params["call_jaxpr"]
            closed = isinstance(inner, jex.ClosedJaxpr)
            jaxpr, consts = (inner.jaxpr, inner.consts) if closed else (inner, ())
            return self._outputs(jaxpr, consts, values, batch)
        sizes = [size for out in eqn.outvars for size in out.aval.shape]
        fixed = all(isinstance(size, int) for size in sizes)
        if fixed and not any(isinstance(value, str) for value in values):
            found = eqn.primitive.bind(*values, **eqn.params)
            return found if eqn.primitive.multiple_results else [found]
        names = [v if isinstance(v, str) else self.constant(np.asarray(v)) for v in values]
        if name in _SAME:
            return [self.add(_SAME[name], *names)]
        if name == "broadcast_in_dim":
            return [_broadcast(self, eqn, names[0], batch)]
        if name not in _RULES:
            raise UsageError(_UNKNOWN.format(f"JAX's operation {name!r}"))
        return [_RULES[name](self, eqn, *names)]


def _broadcast(g: Graph, eqn: Any, x: str, batch: str) -> str:
    given, sizes = eqn.invars[0].aval.shape, eqn.outvars[0].aval.shape
    ones = [1] * len(sizes)
    for at, size in zip(eqn.params["broadcast_dimensions"], given, strict=True):
        ones[at] = size if isinstance(size, int) else -1
    x = g.add("Reshape", x, ones)
    if [size if isinstance(size, int) else -1 for size in sizes] == ones:
        return x
    if any(not isinstance(size, int) and str(size) != "batch" for size in sizes):
        raise UsageError(_UNKNOWN.format(f"an array of shape {sizes}"))
    parts = [g.constant([size]) if isinstance(size, int) else batch for size in sizes]
    return g.add("Expand", x, g.add("Concat", *parts, axis=0))


def _reshape(g: Graph, eqn: Any, x: str) -> str:
    # One axis at most has a size that depends on the batch.
    sizes = eqn.outvars[0].aval.shape
    return g.add("Reshape", x, [size if isinstance(size, int) else -1 for size in sizes])


def _slice(g: Graph, eqn: Any, x: str) -> str:
    sizes, p = eqn.invars[0].aval.shape, eqn.params
    pairs = zip(p["limit_indices"], sizes, strict=True)
    ends = [_END if end == size else end for end, size in pairs]
    steps = p["strides"] or [1] * len(ends)
    return g.add("Slice", x, p["start_indices"], ends, range(len(ends)), steps)


def _stack(g: Graph, eqn: Any, *parts: str) -> str:
    axis = eqn.params["axis"]
    return g.add("Concat", *(g.add("Unsqueeze", x, [axis]) for x in parts), axis=axis)


def _product(g: Graph, eqn: Any, x: str, y: str) -> str:
    last = len(eqn.invars[0].aval.shape) - 1
    if eqn.params["dimension_numbers"] != (((last,), (0,)), ((), ())):
        raise UsageError(_UNKNOWN.format("a product other than x @ matrix"))
    return g.add("MatMul", x, y)


def _conv(g: Graph, eqn: Any, x: str, kernel: str) -> str:
    p = eqn.params
    of_x, of_kernel, of_y = p["dimension_numbers"]
    if set(p["lhs_dilation"]) != {1} or p["batch_group_count"] != 1:
        raise UsageError(_UNKNOWN.format("a transposed convolution"))
    made = g.add(
        "Conv",
        g.add("Transpose", x, perm=list(of_x)),
        g.add("Transpose", kernel, perm=list(of_kernel)),
        strides=list(p["window_strides"]),
        pads=np.transpose(p["padding"]).ravel().tolist(),
        dilations=list(p["rhs_dilation"]),
        group=p["feature_group_count"],
    )
    return g.add("Transpose", made, perm=np.argsort(of_y).tolist())


def _cast(g: Graph, eqn: Any, x: str) -> str:
    return g.add("Cast", x, to=helper.np_dtype_to_tensor_dtype(np.dtype(eqn.params["new_dtype"])))


def _reduction(op: str) -> Callable[..., str]:
    return lambda g, eqn, x: g.add(op, x, eqn.params["axes"], keepdims=0)


_CALLS = {"jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call", "checkpoint"}
# JAX's names in lower case are ONNX's, but for some.
_SAME = dict.fromkeys(("stop_gradient", "copy"), "Identity")
_SAME |= {"logistic": "Sigmoid", "eq": "Equal", "lt": "Less", "gt": "Greater"}
_SAME |= {"ge": "GreaterOrEqual", "le": "LessOrEqual"}
_SAME |= {
    name.lower(): name
    for name in (
        *("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "Neg", "Exp", "Log", "Sqrt"),
        *("Tanh", "Erf", "Abs", "Sign", "Floor", "Round", "And", "Or", "Not"),
    )
}
_RULES: dict[str, Callable[..., str]] = {
    "reshape": _reshape,
    "squeeze": _reshape,
    "expand_dims": _reshape,
    "slice": _slice,
    "stack": _stack,
    "dot_general": _product,
    "conv_general_dilated": _conv,
    "convert_element_type": _cast,
    "reduce_sum": _reduction("ReduceSum"),
    "reduce_max": _reduction("ReduceMax"),
    "reduce_min": _reduction("ReduceMin"),
    "concatenate": lambda g, eqn, *xs: g.add("Concat", *xs, axis=eqn.params["dimension"]),
    "transpose": lambda g, eqn, x: g.add("Transpose", x, perm=list(eqn.params["permutation"])),
    "select_n": lambda g, eqn, which, no, yes: g.add("Where", which, yes, no),
    "clamp": lambda g, eqn, low, x, high: g.add("Min", g.add("Max", x, low), high),
    "ne": lambda g, eqn, x, y: g.add("Not", g.add("Equal", x, y)),
    "is_finite": lambda g, eqn, x: g.add("Less", g.add("Abs", x), np.inf),
    "integer_pow": lambda g, eqn, x: g.add("Pow", x, float(eqn.params["y"])),
    "square": lambda g, eqn, x: g.add("Mul", x, x),
    "rsqrt": lambda g, eqn, x: g.add("Reciprocal", g.add("Sqrt", x)),
    "log1p": lambda g, eqn, x: g.add("Log", g.add("Add", x, 1.0)),
}
