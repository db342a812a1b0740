"""Convolution and max-pooling with fast gradients on CPU, also inside loops.

XLA converts convolutions to the layout of its fast CPU kernel in the entry computation only. In the
body of a `lax.scan`, JAX's gradient convolutions run as naive loops, 26 times slower (jaxlib 0.10,
`xla/service/cpu/conv_canonicalization.cc`). The gradients of `conv_general_dilated` have that
layout from the start.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float


class _Window(NamedTuple):
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    precision: Any


def conv_general_dilated(
    lhs: Array,
    rhs: Array,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    precision: Any = None,
    **options: Any,
) -> Array:
    """Compute `lax.conv_general_dilated` with other gradient convolutions on CPU.

    Pass it to Flax: `nnx.Conv(..., conv_general_dilated=conv_general_dilated)`. Values are equal
    bit for bit, and so are gradients with strides of 1; with larger strides, gradients differ by
    rounding. Only first-order reverse-mode derivatives are supported. Dilated, grouped and
    channels-first convolutions use lax.

    Args:
        lhs: `(batch, *spatial, features)`.
        rhs: `(*spatial, features, filters)`.
        The others: as in lax.
    """
    layout = lax.conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers)
    dilations = (*(lhs_dilation or ()), *(rhs_dilation or ()))
    plain = (
        layout == _channels_last(lhs.ndim)
        and feature_group_count == 1
        and all(dilation == 1 for dilation in dilations)
        and all(option is None for option in options.values())
    )
    if not plain:
        return lax.conv_general_dilated(
            lhs,
            rhs,
            window_strides,
            padding,
            lhs_dilation=lhs_dilation,
            rhs_dilation=rhs_dilation,
            dimension_numbers=dimension_numbers,
            feature_group_count=feature_group_count,
            precision=precision,
            **options,
        )
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(lhs.shape[1:-1], rhs.shape[:-2], window_strides, padding)
    pads = tuple((int(low), int(high)) for low, high in padding)
    return _conv(_Window(tuple(window_strides), pads, precision), lhs, rhs)


def _channels_last(ndim: int) -> lax.ConvDimensionNumbers:
    spatial = tuple(range(1, ndim - 1))
    lhs = (0, ndim - 1, *spatial)
    rhs = (ndim - 1, ndim - 2, *range(ndim - 2))
    return lax.ConvDimensionNumbers(lhs, rhs, lhs)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _conv(window: _Window, x: Array, w: Array) -> Array:
    return _canonical(x, w, window.strides, window.padding, precision=window.precision)


def _canonical(
    x: Array,
    w: Array,
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    **dilations: Any,
) -> Array:
    return lax.conv_general_dilated(
        x, w, strides, padding, dimension_numbers=_channels_last(x.ndim), **dilations
    )


def _forward(window: _Window, x: Array, w: Array) -> tuple[Array, tuple[Array, Array]]:
    return _conv(window, x, w), (x, w)


def _backward(window: _Window, kept: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
    # XLA recognises cuDNN's gradient kernels in JAX's formulation only.
    return lax.platform_dependent(
        *kept, g, cpu=partial(_gradients, window), default=partial(_gradients_of_lax, window)
    )


def _gradients_of_lax(window: _Window, x: Array, w: Array, g: Array) -> tuple[Array, Array]:
    strides, padding, precision = window
    _, vjp = jax.vjp(lambda x, w: _canonical(x, w, strides, padding, precision=precision), x, w)
    return vjp(g)


def _gradients(window: _Window, x: Array, w: Array, g: Array) -> tuple[Array, Array]:
    strides, padding, precision = window
    ones = (1,) * len(strides)
    spatial = tuple(range(1, x.ndim - 1))
    sizes = zip(x.shape[1:-1], w.shape[:-2], g.shape[1:-1], strides, padding, strict=True)
    of_x, of_w = [], []
    for size, kernel, out, stride, (low, high) in sizes:
        # No window reaches these input frames; a negative padding of x leaves them out.
        unused = size + low + high - kernel - (out - 1) * stride
        of_x.append((kernel - 1 - low, kernel - 1 - high + unused))
        of_w.append((low, high - unused))
    flipped = jnp.flip(w, tuple(range(w.ndim - 2))).swapaxes(-1, -2)
    spread, of_x = _cropped(g, of_x, strides)
    dilation = strides if spread is g else ones
    dx = _canonical(spread, flipped, ones, of_x, lhs_dilation=dilation, precision=precision)
    # Swap batch and features: the sum over the batch becomes a sum over input features.
    features_first, of_w = _cropped(jnp.moveaxis(x, (-1, 0), (0, -1)), of_w, ones)
    as_kernel = jnp.moveaxis(g, 0, -2)
    dw = _canonical(
        features_first, as_kernel, ones, of_w, rhs_dilation=strides, precision=precision
    )
    return dx, jnp.moveaxis(dw, 0, len(spatial))


def _cropped(
    x: Array, padding: Sequence[tuple[int, int]], dilation: Sequence[int]
) -> tuple[Array, list[tuple[int, int]]]:
    """Dilate `x` and crop it by negative paddings; return it with the remaining padding.

    XLA's CPU convolution reads beyond the end of its input if a padding is negative.
    """
    if all(low >= 0 and high >= 0 for low, high in padding):
        return x, list(padding)
    crops = [
        (min(low, 0), min(high, 0), step - 1)
        for (low, high), step in zip(padding, dilation, strict=True)
    ]
    cropped = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *crops, (0, 0, 0)])
    return cropped, [(max(low, 0), max(high, 0)) for low, high in padding]


_conv.defvjp(_forward, _backward)

Conv = partial(nnx.Conv, conv_general_dilated=conv_general_dilated)
"""`nnx.Conv` with the gradients of this module."""


def max_pool_by_two(
    x: Float[Array, "batch *spatial features"], axes: Sequence[int] = (1,)
) -> Array:
    """Compute `nnx.max_pool` with windows and strides of 2 along these axes.

    Its gradient is faster: that of `lax.reduce_window` took a quarter of a training step on CPU.
    Equal neighbours share their gradient evenly.
    """
    for axis in axes:
        end = x.shape[axis] // 2 * 2
        even, odd = (lax.slice_in_dim(x, first, end, 2, axis) for first in (0, 1))
        x = jnp.maximum(even, odd)
    return x
