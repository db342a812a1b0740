"""Build an ONNX graph, by hand and from functions that JAX traces.

The nodes are standard operators of opset 18, all of which onnxruntime and onnxruntime-web have.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import onnx
from jax import export
from jax.extend import core as jex
from onnx import TensorProto, helper, numpy_helper

from kit.errors import UsageError

OPSET = 18
_IR = 9  # newer runtimes read it, and it is the oldest with opset 18
_END = np.iinfo(np.int64).max


class Graph:
    """Nodes and constants of a graph; a value is known by its name."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple[Any, ...], onnx.TensorProto] = {}

    def constant(self, value: Any, dtype: Any = None) -> str:
        """Return the name of a constant, shared with its equals."""
        array = np.asarray(value, dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = f"c{len(self._constants)}"
            self._constants[key] = numpy_helper.from_array(array, name)
        return self._constants[key].name

    def add(self, op: str, *inputs: Any, **attributes: Any) -> str:
        """Add a node and return the name of its output.

        Args:
            op: ONNX's name of the operator.
            inputs: names; integers and arrays of them become int64 constants, other numbers float32
                constants.
            attributes: of the operator.
        """
        return self.split(op, 1, *inputs, **attributes)[0]

    def split(self, op: str, outputs: int, *inputs: Any, **attributes: Any) -> list[str]:
        """Add a node with several outputs; see `add`."""
        names = [x if isinstance(x, str) else self._number(x) for x in inputs]
        made = [f"v{len(self._nodes)}_{number}" for number in range(outputs)]
        self._nodes.append(helper.make_node(op, names, made, **attributes))
        return made

    def _number(self, value: Any) -> str:
        array = np.asarray(value)
        return self.constant(array, np.float32 if array.dtype.kind == "f" else np.int64)

    def slice(self, x: str, start: Any, end: Any, axis: int) -> str:
        """Return a part of `x` along one axis; `start` and `end` are numbers or names of `[1]`."""
        ends = [v if isinstance(v, str) else [v] for v in (start, end)]
        return self.add("Slice", x, *ends, [axis])

    def size(self, x: str, axis: int) -> str:
        """Return the size of an axis, int64 `[1]`."""
        return self.add("Shape", x, start=axis, end=axis + 1)

    def function(self, function: Callable[[Any], Any], x: str, shape: Sequence[int | None]) -> str:
        """Add the nodes of a function that JAX can trace.

        Args:
            function: from one float32 array to another.
            x: its input.
            shape: the input's; None for the first axis if any size will do.
        Raises:
            UsageError: the function has an operation without a counterpart here.
        """
        (batch,) = export.symbolic_shape("batch")
        sizes = [batch if size is None else size for size in shape]
        closed = jax.make_jaxpr(function)(jax.ShapeDtypeStruct(sizes, np.float32))
        return _Translation(self, x, batch).outputs(closed.jaxpr, closed.consts, [x])[0]

    def model(
        self, x: str, shape: Sequence[str], y: str, classes: int, about: dict[str, str]
    ) -> onnx.ModelProto:
        """Return the ONNX model from the input `x` to the value `y`, (batch, classes).

        Args:
            x: the input's name.
            shape: names of its axes.
            y: the value that becomes the output "probabilities".
            classes: size of its last axis.
            about: text for the model's metadata.
        """
        self._nodes.append(helper.make_node("Identity", [y], ["probabilities"]))
        kind = TensorProto.FLOAT
        given = helper.make_tensor_value_info(x, kind, shape)
        answer = helper.make_tensor_value_info("probabilities", kind, [shape[0], classes])
        graph = helper.make_graph(
            self._nodes, "kit", [given], [answer], list(self._constants.values())
        )
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, producer_name="genre-kit")
        model.ir_version = _IR
        helper.set_model_props(model, about)
        onnx.checker.check_model(model, full_check=True)
        return model


_SAME = {
    "add": "Add",
    "sub": "Sub",
    "mul": "Mul",
    "div": "Div",
    "max": "Max",
    "min": "Min",
    "pow": "Pow",
    "neg": "Neg",
    "exp": "Exp",
    "log": "Log",
    "sqrt": "Sqrt",
    "tanh": "Tanh",
    "logistic": "Sigmoid",
    "erf": "Erf",
    "abs": "Abs",
    "sign": "Sign",
    "floor": "Floor",
    "eq": "Equal",
    "lt": "Less",
    "le": "LessOrEqual",
    "gt": "Greater",
    "ge": "GreaterOrEqual",
    "and": "And",
    "or": "Or",
    "not": "Not",
    "stop_gradient": "Identity",
    "copy": "Identity",
    "copy_p": "Identity",
}
_CALLS = {"jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call", "checkpoint"}
_UNKNOWN = "the network has {}, which `kit export` does not write to ONNX; use --to stablehlo"
_REDUCTIONS = {"reduce_sum": "ReduceSum", "reduce_max": "ReduceMax", "reduce_min": "ReduceMin"}


class _Translation:
    """The translation of one traced function; arrays that no input reaches are computed at once."""

    def __init__(self, graph: Graph, x: str, batch: Any) -> None:
        self.g = graph
        self.x = x
        self.batch = batch

    def outputs(self, jaxpr: Any, consts: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
        """Return the outputs of a jaxpr: names, or arrays."""
        known = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *inputs), strict=True))

        def read(atom: Any) -> Any:
            literal = isinstance(atom, jex.Literal)
            return np.asarray(atom.val, atom.aval.dtype) if literal else known[atom]

        for eqn in jaxpr.eqns:
            known.update(
                zip(eqn.outvars, self._equation(eqn, [*map(read, eqn.invars)]), strict=True)
            )
        return [read(atom) for atom in jaxpr.outvars]

    def _equation(self, eqn: Any, values: list[Any]) -> Sequence[Any]:
        name = eqn.primitive.name
        if name in _CALLS:
            inner = eqn.params.get("jaxpr") or eqn.params["call_jaxpr"]
            closed = isinstance(inner, jex.ClosedJaxpr)
            consts = inner.consts if closed else ()
            return self.outputs(inner.jaxpr if closed else inner, consts, values)
        fixed = all(isinstance(d, int) for out in eqn.outvars for d in out.aval.shape)
        if fixed and not any(isinstance(value, str) for value in values):
            found = eqn.primitive.bind(*values, **eqn.params)
            return found if eqn.primitive.multiple_results else [found]
        rule = getattr(self, f"_{name}", None)
        if name not in _SAME and name not in _REDUCTIONS and rule is None:
            raise UsageError(_UNKNOWN.format(f"JAX's operation {name!r}"))
        names = [v if isinstance(v, str) else self.g.constant(np.asarray(v)) for v in values]
        if name in _SAME:
            return [self.g.add(_SAME[name], *names)]
        if rule is None:
            return [self.g.add(_REDUCTIONS[name], *names, list(eqn.params["axes"]), keepdims=0)]
        made = rule(eqn, *names)
        return made if isinstance(made, list) else [made]

    def _shape(self, sizes: Sequence[Any]) -> str:
        """Return a shape as a constant, or as a value if one of its sizes is the batch's."""
        if all(isinstance(size, int) for size in sizes):
            return self.g.constant(sizes, np.int64)
        if any(not isinstance(size, int) and size != self.batch for size in sizes):
            raise UsageError(_UNKNOWN.format(f"a shape {tuple(sizes)}"))
        batch = self.g.size(self.x, 0)
        parts = [self.g.constant([d], np.int64) if isinstance(d, int) else batch for d in sizes]
        return self.g.add("Concat", *parts, axis=0)

    def _broadcast_in_dim(self, eqn: Any, x: str) -> str:
        sizes, into = eqn.outvars[0].aval.shape, eqn.params["broadcast_dimensions"]
        given = eqn.invars[0].aval.shape
        ones = [1] * len(sizes)
        for at, size in zip(into, given, strict=True):
            ones[at] = size
        if len(sizes) != len(given):
            x = self.g.add("Reshape", x, self._shape(ones))
        return x if tuple(ones) == tuple(sizes) else self.g.add("Expand", x, self._shape(sizes))

    def _reshape(self, eqn: Any, x: str) -> str:
        # One axis at most has a size that depends on the batch.
        sizes = [d if isinstance(d, int) else -1 for d in eqn.outvars[0].aval.shape]
        return self.g.add("Reshape", x, sizes)

    _squeeze = _expand_dims = _reshape

    def _transpose(self, eqn: Any, x: str) -> str:
        return self.g.add("Transpose", x, perm=list(eqn.params["permutation"]))

    def _concatenate(self, eqn: Any, *parts: str) -> str:
        return self.g.add("Concat", *parts, axis=eqn.params["dimension"])

    def _stack(self, eqn: Any, *parts: str) -> str:
        axis = eqn.params["axis"]
        return self.g.add("Concat", *(self.g.add("Unsqueeze", x, [axis]) for x in parts), axis=axis)

    def _slice(self, eqn: Any, x: str) -> str:
        sizes, p = eqn.invars[0].aval.shape, eqn.params
        rows = zip(p["start_indices"], p["limit_indices"], sizes, strict=True)
        bounds = [(start, _END if end == size else end) for start, end, size in rows]
        starts, ends = (np.array(each, np.int64) for each in zip(*bounds, strict=True))
        steps = np.array(p["strides"] or [1] * len(bounds), np.int64)
        return self.g.add("Slice", x, starts, ends, np.arange(len(bounds)), steps)

    def _split(self, eqn: Any, x: str) -> list[str]:
        sizes, axis = eqn.params["sizes"], eqn.params["axis"]
        return self.g.split("Split", len(sizes), x, list(sizes), axis=axis)

    def _convert_element_type(self, eqn: Any, x: str) -> str:
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(eqn.params["new_dtype"]))
        return self.g.add("Cast", x, to=kind)

    def _select_n(self, _: Any, which: str, no: str, yes: str) -> str:
        return self.g.add("Where", which, yes, no)

    def _clamp(self, _: Any, low: str, x: str, high: str) -> str:
        return self.g.add("Min", self.g.add("Max", x, low), high)

    def _ne(self, _: Any, x: str, y: str) -> str:
        return self.g.add("Not", self.g.add("Equal", x, y))

    def _is_finite(self, _: Any, x: str) -> str:
        return self.g.add("Less", self.g.add("Abs", x), np.inf)

    def _integer_pow(self, eqn: Any, x: str) -> str:
        return self.g.add("Pow", x, float(eqn.params["y"]))

    def _square(self, _: Any, x: str) -> str:
        return self.g.add("Mul", x, x)

    def _rsqrt(self, _: Any, x: str) -> str:
        return self.g.add("Reciprocal", self.g.add("Sqrt", x))

    def _log1p(self, _: Any, x: str) -> str:
        return self.g.add("Log", self.g.add("Add", x, 1.0))

    def _round(self, _: Any, x: str) -> str:
        return self.g.add("Round", x)

    def _dot_general(self, eqn: Any, x: str, y: str) -> str:
        (of_x, of_y), (batch_x, batch_y) = eqn.params["dimension_numbers"]
        ranks = [len(v.aval.shape) for v in eqn.invars]
        if not batch_x and ranks[1] == 2 and of_x == (ranks[0] - 1,) and of_y == (0,):
            return self.g.add("MatMul", x, y)
        letters = iter("abcdefghijklmnopqrstuvwxyz")
        left = [next(letters) for _ in range(ranks[0])]
        right = [next(letters) for _ in range(ranks[1])]
        for at, to in zip((*of_x, *batch_x), (*of_y, *batch_y), strict=True):
            right[to] = left[at]
        free = [c for at, c in enumerate(left) if at not in (*of_x, *batch_x)]
        free += [c for at, c in enumerate(right) if at not in (*of_y, *batch_y)]
        out = [left[at] for at in batch_x] + free
        equation = f"{''.join(left)},{''.join(right)}->{''.join(out)}"
        return self.g.add("Einsum", x, y, equation=equation)

    def _conv_general_dilated(self, eqn: Any, x: str, kernel: str) -> str:
        p = eqn.params
        of_x, of_kernel, of_y = p["dimension_numbers"]
        if any(step != 1 for step in p["lhs_dilation"]) or p["batch_group_count"] != 1:
            raise UsageError(_UNKNOWN.format("a transposed convolution"))
        lows, highs = zip(*p["padding"], strict=True)
        made = self.g.add(
            "Conv",
            self.g.add("Transpose", x, perm=list(of_x)),
            self.g.add("Transpose", kernel, perm=list(of_kernel)),
            strides=list(p["window_strides"]),
            pads=[*lows, *highs],
            dilations=list(p["rhs_dilation"]),
            group=p["feature_group_count"],
        )
        return self.g.add("Transpose", made, perm=[int(at) for at in np.argsort(of_y)])
