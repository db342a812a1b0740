"""A Flax module as pure functions over flat dictionaries of arrays."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.core import Tracer
from jaxtyping import Array, Float

from kit.config import MODELS, require_model
from kit.errors import ConfigError

Tree = dict[str, Array]
"""Arrays by path, such as "convs/0/kernel", in one flat dictionary."""

# Kinds of variables in the order of `nnx.split`; the last one takes all others.
_KINDS = (nnx.Param, nnx.RngState, nnx.Intermediate, ...)


class _PlainArrayError(Exception):
    pass


@dataclass(frozen=True, eq=False)
class Network:
    """A module as functions of its arrays.

    The module is split once in training mode and in evaluation mode (`module.train()`,
    `module.eval()`). Its variables are

    - parameters: every `nnx.Param`;
    - buffers: every other variable or array, such as batch statistics, which training updates;
    - random streams, which each call of `apply` sets from its key;
    - sown intermediates, which are dropped.

    Example:
        >>> network = kit.models.build(kit.Conv1DConfig(), n_mels=128, n_classes=5)
        >>> network.module.__name__
        'Conv1D'
    """

    module: type
    """Class of the module."""
    _train: nnx.GraphDef
    _eval: nnx.GraphDef
    _params: Any
    _streams: Any
    _buffers: Any
    _create: Callable[[nnx.Rngs], nnx.Module]
    _method: str = "__call__"

    @classmethod
    def of(cls, create: Callable[[nnx.Rngs], nnx.Module]) -> "Network":
        """Return the network of a module's constructor."""
        seen: list[Any] = []

        def states() -> list[Any]:
            module = create(nnx.Rngs(0))
            nnx.pop(module, nnx.Intermediate)
            module.eval()
            graph_eval = nnx.split(module, *_KINDS)[0]
            module.train()
            graph_train, *found = nnx.split(module, *_KINDS)
            seen[:] = [type(module), graph_train, graph_eval]
            traced = any(
                isinstance(value, Tracer)
                for _, node in nnx.iter_graph(module)
                for value in getattr(node, "__dict__", {}).values()
            )
            if traced and not eager:
                raise _PlainArrayError
            return found

        eager = False
        try:
            shapes = jax.eval_shape(states)
        except _PlainArrayError:
            # Under a trace, Flax treats a plain array in a module as static.
            eager = True
            shapes = jax.tree.map(jax.typeof, states())
        params, streams, _, buffers = shapes
        return cls(*seen, params, streams, buffers, create)  # pyright: ignore[reportCallIssue]

    def shapes(self) -> tuple[Any, Any]:
        """Return shapes and dtypes of the parameters and buffers of `init`."""
        return _named(self._params), _named(self._buffers)

    def init(self, key: Array) -> tuple[Tree, Tree]:
        """Return random parameters and buffers, drawn from a PRNG key."""
        module = self._create(nnx.Rngs(key))
        nnx.pop(module, nnx.Intermediate)
        _, params, _, _, buffers = nnx.split(module, *_KINDS)
        return _arrays(params), _arrays(buffers)

    def apply(
        self,
        params: Tree,
        buffers: Tree,
        x: Float[Array | np.ndarray, "batch frames n_mels"],
        *,
        train: bool = False,
        key: Array | None = None,
    ) -> tuple[Float[Array, "batch n_classes"], Tree]:
        """Return logits, and the buffers after this batch (unchanged if not `train`).

        `key` is the PRNG key of all random numbers of this call; a fixed key if None.
        """
        return self._call(params, buffers, x, train, key)

    def at(self, method: str) -> "Network":
        """Return the network whose `apply` calls another method of the module; cached."""
        return _at(self, method)

    def use(self, params: Tree, buffers: Tree, function: Callable[[Any], Any]) -> Any:
        """Call `function` with the module in evaluation mode, such as for its hidden layers."""
        return function(self._module(params, buffers, train=False, key=None))

    def _call(
        self, params: Tree, buffers: Tree, x: Any, train: bool, key: Array | None
    ) -> tuple[Any, Tree]:
        """Compute `apply` without checking the module's output."""
        module = self._module(params, buffers, train, key)
        logits = getattr(module, self._method)(jnp.asarray(x))
        if not train:
            return logits, buffers
        after = _named(nnx.split(module, *_KINDS)[4])
        return logits, {name: jnp.asarray(after[name], old.dtype) for name, old in buffers.items()}

    def _module(self, params: Tree, buffers: Tree, train: bool, key: Array | None) -> Any:
        return nnx.merge(
            self._train if train else self._eval,
            _filled(self._params, params),
            self._seeded(jax.random.key(0) if key is None else key),
            nnx.State({}),
            _filled(self._buffers, buffers),
        )

    def _seeded(self, key: Array) -> Any:
        """Return all random streams with their own keys and counts of 0."""

        def seeded(number: int, leaf: Any) -> Array:
            if not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
                return jnp.zeros(leaf.shape, leaf.dtype)
            stream = jax.random.fold_in(key, number)
            return jax.random.split(stream, leaf.shape) if leaf.shape else stream

        leaves, structure = jax.tree.flatten(self._streams)
        return jax.tree.unflatten(structure, [seeded(i, leaf) for i, leaf in enumerate(leaves)])


@lru_cache(maxsize=16)
def _at(network: Network, method: str) -> Network:
    return replace(network, _method=method)


def build(options: Any, *, n_mels: int, n_classes: int) -> Network:
    """Build a network from a frozen dataclass with `build(n_mels, n_classes, *, rngs)`.

    Raises:
        ConfigError: the options are not such a dataclass, `build` fails, or its result is not an
            `nnx.Module`.

    Example:
        >>> network = kit.models.build(kit.Conv1DConfig(), n_mels=128, n_classes=5)
    """
    require_model(options)
    return _of_kit(_build, options, n_mels, n_classes)


def _of_kit(make: Callable[..., Network], options: Any, *sizes: int) -> Network:
    """Return `make(options, *sizes)`, cached for kit's networks only.

    A notebook may redefine a user's module with the same options.
    """
    cached = type(options) in MODELS.values()
    return _cached(make, options, *sizes) if cached else make(options, *sizes)


@lru_cache(maxsize=16)
def _cached(make: Callable[..., Network], options: Any, *sizes: int) -> Network:
    return make(options, *sizes)


def _build(options: Any, n_mels: int, n_classes: int) -> Network:
    kind = type(options).__name__

    def create(rngs: nnx.Rngs) -> nnx.Module:
        module = options.build(n_mels, n_classes, rngs=rngs)
        if not isinstance(module, nnx.Module) or not callable(module):
            raise ConfigError(
                f"{kind}.build returned {type(module).__name__}; it must return a flax.nnx.Module "
                "with a method __call__(x)"
            )
        return module

    try:
        return Network.of(create)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(
            f"{kind}.build(n_mels={n_mels}, n_classes={n_classes}) failed: {_line(error)}"
        ) from error


def check(options: Any, frames: int, n_mels: int, n_classes: int = 2) -> Network:
    """Build a network and trace its shapes for segments of `frames` frames; see `build`.

    Raises:
        ConfigError: the network fails on such segments, or its output is not
            `(batch, n_classes)`.

    Example:
        >>> network = kit.models.check(kit.Conv1DConfig(), frames=128, n_mels=128)
    """
    require_model(options)
    return _of_kit(_check, options, frames, n_mels, n_classes)


def _check(options: Any, frames: int, n_mels: int, n_classes: int) -> Network:
    network = build(options, n_mels=n_mels, n_classes=n_classes)
    kind = network.module.__name__
    batch = 2
    x = jax.ShapeDtypeStruct((batch, frames, n_mels), jnp.float32)
    for train in (True, False):
        try:
            params, buffers = network.shapes()
            out, _ = jax.eval_shape(
                lambda p, b, x, train=train: network._call(p, b, x, train, None), params, buffers, x
            )
        except Exception as error:
            raise ConfigError(
                f"{kind} fails on segments of {frames} frames (SegmentConfig.frames) and {n_mels} "
                f"mel bands: {_line(error)}"
            ) from error
        shape = getattr(out, "shape", None)
        if shape != (batch, n_classes) or not jnp.issubdtype(out.dtype, jnp.floating):
            given = type(out).__name__ if shape is None else f"{out.dtype}{list(shape)}"
            raise ConfigError(
                f"{kind} returns {given} for a batch of {batch} and {n_classes} labels; it must "
                f"return logits of shape (batch, n_classes), here [{batch}, {n_classes}]"
            )
    return network


def size(tree: Mapping[str, Any]) -> int:
    """Return the number of values in a tree of arrays or of their shapes.

    Example:
        >>> kit.models.size({"kernel": jnp.zeros((4, 128, 64)), "bias": jnp.zeros(64)})
        32832
    """
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def _names(state: Any) -> list[str]:
    only_child = jax.tree_util.GetAttrKey("value")  # of a variable
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(state)]
    named = [tuple(part for part in path if part != only_child) for path in paths]
    return [jax.tree_util.keystr(path, simple=True, separator="/") for path in named]


def _named(state: Any) -> dict[str, Any]:
    return dict(zip(_names(state), jax.tree.leaves(state), strict=True))


def _arrays(state: Any) -> Tree:
    # Convert by NumPy: a Python number would keep its weak type and compile another program.
    return {
        name: leaf if isinstance(leaf, jax.Array) else jnp.asarray(np.asarray(leaf))
        for name, leaf in _named(state).items()
    }


def _filled(state: Any, tree: Tree) -> Any:
    leaves = [tree[name] for name in _names(state)]
    return jax.tree.unflatten(jax.tree.structure(state), leaves)


def _line(error: BaseException) -> str:
    text = (str(error).strip().splitlines() or [""])[0][:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
