"""Ratios of the notes of an octave in just intonation."""

from collections.abc import Sequence
from functools import lru_cache, reduce
from operator import add
from typing import Literal, overload

import numpy as np
from jaxtyping import Float

from kit.dsp.checks import positive_int, require

Factors = dict[int, int]
"""An interval as powers of primes: 3/2 is {2: -1, 3: 1}."""

_Point = tuple[int, ...]


@overload
def pythagorean_intervals(
    *, bins_per_octave: int = ..., sort: bool = ..., return_factors: Literal[False] = False
) -> Float[np.ndarray, "bins_per_octave"]: ...
@overload
def pythagorean_intervals(
    *, bins_per_octave: int = ..., sort: bool = ..., return_factors: Literal[True]
) -> list[Factors]: ...
def pythagorean_intervals(
    *, bins_per_octave: int = 12, sort: bool = True, return_factors: bool = False
) -> Float[np.ndarray, "bins_per_octave"] | list[Factors]:
    """Return the ratios of a chain of fifths, folded into one octave.

    Args:
        bins_per_octave: notes of the chain, the first included.
        sort: ascending; otherwise in the order of the chain.
        return_factors: return powers of 2 and 3 in place of ratios.
    Returns:
        Ratios in [1, 2), float64, or one dictionary for each.
    Raises:
        ParameterError: `bins_per_octave` below 1.
    Source: librosa 0.11 `pythagorean_intervals`.

    Example:
        >>> kit.dsp.pythagorean_intervals(bins_per_octave=3)
        array([1.   , 1.125, 1.5  ])
    """
    count = positive_int("bins_per_octave", bins_per_octave)
    logs, octaves, order = _folded(np.arange(count) * np.log2(3), sort)
    if return_factors:
        return [{2: -int(octaves[i]), 3: int(i)} for i in order]
    return 2.0 ** logs[order]


@overload
def plimit_intervals(
    *,
    primes: Sequence[int] | int,
    bins_per_octave: int = ...,
    sort: bool = ...,
    return_factors: Literal[False] = False,
) -> Float[np.ndarray, "bins_per_octave"]: ...
@overload
def plimit_intervals(
    *,
    primes: Sequence[int] | int,
    bins_per_octave: int = ...,
    sort: bool = ...,
    return_factors: Literal[True],
) -> list[Factors]: ...
def plimit_intervals(
    *,
    primes: Sequence[int] | int,
    bins_per_octave: int = 12,
    sort: bool = True,
    return_factors: bool = False,
) -> Float[np.ndarray, "bins_per_octave"] | list[Factors]:
    """Return the ratios of just intonation whose factors are 2 and the given primes.

    The notes are points of a lattice with one axis per prime. Starting from the unison, each step
    adds the neighbouring point with the smallest sum of harmonic distances to all chosen points.

    Args:
        primes: odd primes, such as [3, 5].
        bins_per_octave: notes, the unison included.
        sort: ascending; otherwise in the order in which the lattice grows.
        return_factors: return the nonzero powers of primes in place of ratios.
    Returns:
        Ratios in [1, 2), float64, or one dictionary for each.
    Raises:
        ParameterError: `bins_per_octave` below 1, no primes, an even number, or one below 3.
    Source: librosa 0.11 `plimit_intervals`; Tenney, "On 'Crystal Growth' in Harmonic Space".

    Example:
        >>> kit.dsp.plimit_intervals(primes=[3, 5], bins_per_octave=4).round(3)
        array([1.   , 1.125, 1.333, 1.5  ])
    """
    count = positive_int("bins_per_octave", bins_per_octave)
    given = tuple(positive_int("primes", p, least=3) for p in np.atleast_1d(primes).tolist())
    odd = len(given) > 0 and all(p % 2 for p in given)
    require(odd, "primes", primes, "they must be odd primes, one at least")
    points = _lattice(given, count)
    logs, octaves, order = _folded(np.array(points) @ np.log2(given), sort)
    if not return_factors:
        return 2.0 ** logs[order]
    return [
        {
            prime: int(power)
            for prime, power in zip((2, *given), (-octaves[i], *points[i]), strict=True)
            if power
        }
        for i in order
    ]


def _folded(
    logs: Float[np.ndarray, "n"], sort: bool
) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"], np.ndarray]:
    """Return logarithms within one octave, the octaves removed, and the order of the notes."""
    octaves = np.floor(logs)
    inside = logs - octaves
    return inside, octaves, np.argsort(inside) if sort else np.arange(len(logs))


@lru_cache(maxsize=64)
def _lattice(primes: tuple[int, ...], count: int) -> tuple[_Point, ...]:
    logs = np.log2(primes)
    axes = np.eye(len(primes), dtype=int)
    steps = [tuple(int(v) for v in sign * axis) for axis in axes for sign in (1, -1)]

    def distance(a: _Point, b: _Point) -> float:
        # Sums of distances often differ only in their last bits, so this repeats librosa's
        # operations exactly.
        return float(np.around(logs.dot(np.abs(np.subtract(a, b))), 6))

    root = (0,) * len(primes)
    chosen: list[_Point] = [root]
    # Sum of the distances to the chosen points for each candidate, the oldest first.
    candidates = {step: distance(step, root) for step in steps}
    while len(chosen) < count:
        best = next(iter(candidates))
        for point, total in candidates.items():
            least = candidates[best]
            # Among equals, the point nearest to the unison.
            tie = np.isclose(total, least) and distance(point, root) < distance(best, root)
            if total < least or tie:
                best = point
        del candidates[best]
        for point in candidates:
            candidates[point] += distance(point, best)
        chosen.append(best)
        for step in steps:
            point = tuple(int(v) for v in np.add(best, step))
            if point not in candidates and point not in chosen:
                # Python's sum compensates rounding since 3.12.
                candidates[point] = reduce(add, (distance(point, other) for other in chosen))
    return tuple(chosen)
