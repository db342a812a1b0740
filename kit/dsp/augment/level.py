"""Random changes of level, spectrum and labels: pure functions of a key, one draw per example.

The first argument is a JAX key. Every axis before the last (of waveforms) or the last two (of
spectrograms) is an axis of examples. Example i uses `fold_in(key, i)`, so its change does not
depend on the other examples.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Float, Shaped

from kit.dsp.augment.draws import PRNGKey, bands, by_example, draws_by_length
from kit.dsp.checks import AnyArray, Number, as_waveform, positive_int, require
from kit.dsp.dft import fast_length
from kit.dsp.jit import Length, by_clip, elementwise, padded_length


def spec_augment(
    key: PRNGKey,
    S: Float[AnyArray, "*batch bins frames"],
    *,
    freq_masks: int = 2,
    freq_width: int = 27,
    time_masks: int = 2,
    time_width: int = 100,
    time_share: Number = 1.0,
    fill: Number | None = None,
) -> Float[jax.Array, "*batch bins frames"]:
    """Return spectrograms with some bands of bins and of frames masked.

    Args:
        key: JAX key.
        S: spectrograms, such as decibels.
        freq_masks, freq_width: number of bands of bins, and their greatest width in bins.
        time_masks, time_width: number of bands of frames, and their greatest length in frames.
        time_share: greatest share of the frames in one band.
        fill: value of masked entries; the example's mean if None.
    Raises:
        ParameterError: a negative number or width, a share outside [0, 1], `S` not floating point.
    Source: Park et al. 2019 (SpecAugment), policy LD, without time warping.

    Example:
        >>> import jax
        >>> masked = kit.dsp.spec_augment(jax.random.key(0), np.ones((128, 100)), fill=0.0)
        >>> bool((masked == 0).any())
        True
    """
    require(0 <= time_share <= 1, "time_share", time_share, "it must lie between 0 and 1")
    time_width = positive_int("time_width", time_width, least=0)
    require(np.ndim(S) >= 2, "S.shape", np.shape(S), "its last axes must be (bands, time)")
    frames = np.shape(S)[-1]
    require(jnp.issubdtype(S.dtype, jnp.floating), "S.dtype", S.dtype, "it must be floating point")
    return _masked(
        key,
        S,
        freq_masks=positive_int("freq_masks", freq_masks, least=0),
        freq_width=positive_int("freq_width", freq_width, least=0),
        time_masks=positive_int("time_masks", time_masks, least=0),
        longest=np.asarray(min(time_width, int(time_share * frames)), np.int32),
        fill=fill,
    )


@by_example(S="bt", longest="")
def _masked(
    n: Length,
    key: PRNGKey,
    S: Float[AnyArray, "*batch bins frames"],
    *,
    freq_masks: int,
    freq_width: int,
    time_masks: int,
    longest: Any,
    fill: Number | None,
) -> tuple[Float[jax.Array, "*batch bins frames"], Length]:
    S = jnp.asarray(S)
    bins, frames = S.shape
    in_bins, in_frames = jax.random.split(key)
    blank = bands(in_bins, bins, bins, freq_masks, min(freq_width, bins))[:, None]
    blank = blank | bands(in_frames, frames, n, time_masks, longest)[None, :]
    if fill is None:
        wide = S.astype(jnp.result_type(S, jnp.float32))
        wide = jnp.where(jnp.arange(frames) < n, wide, 0)
        value = (jnp.sum(wide / (bins * n))).astype(S.dtype)
    else:
        value = jnp.asarray(fill, S.dtype)
    return jnp.where(blank, value, S), n


def mixup(
    key: PRNGKey,
    x: Float[AnyArray, "batch *shape"],
    targets: Float[AnyArray, "batch classes"],
    *,
    alpha: Number = 0.2,
) -> tuple[Float[jax.Array, "batch *shape"], Float[jax.Array, "batch classes"]]:
    """Mix each example, and its targets, with another example of the batch.

    Args:
        key: JAX key.
        x: examples.
        targets: probabilities of the classes, such as one-hot rows.
        alpha: parameter of the beta distribution; smaller values mix less. An example keeps at
            least half of itself.
    Raises:
        ParameterError: `alpha` not above 0, numbers of targets and examples that differ.
    Source: Zhang et al. 2018. Here an example depends on the others, by definition.

    Example:
        >>> import jax
        >>> x = np.eye(2, dtype=np.float32)
        >>> mixed, targets = kit.dsp.mixup(jax.random.key(0), x, x)
        >>> targets.sum(axis=1)
        Array([1., 1.], dtype=float32)
    """
    require(alpha > 0 and np.isfinite(alpha), "alpha", alpha, "it must be above 0, and finite")
    count = np.shape(x)[0]
    require(
        np.shape(targets)[0] == count, "targets.shape", np.shape(targets), f"x has {count} examples"
    )
    words = {"words": jax.random.key_data(key), "impl": jax.random.key_impl(key)}
    share, partner = _partners(of=np.zeros(count, np.float32), alpha=alpha, **words)
    return _mixed_with(x, share, partner), _mixed_with(targets, share, partner)


@by_clip(of="t", words="k", exact=draws_by_length)
def _partners(
    n: Length, *, of: Float[AnyArray, "examples"], words: Any, impl: Any, alpha: Number
) -> tuple[tuple[jax.Array, jax.Array], Length]:
    """Return each example's own share, and the index of its partner."""
    of_share, of_partner = jax.random.split(jax.random.wrap_key_data(words, impl=impl))
    share = jax.random.beta(of_share, alpha, alpha, of.shape, of.dtype)
    order = jax.random.uniform(of_partner, of.shape)
    partner = jnp.argsort(jnp.where(jnp.arange(len(of)) < n, order, 1))
    return (jnp.maximum(share, 1 - share), partner), n


def _mixed_with(x: Any, share: jax.Array, partner: jax.Array) -> jax.Array:
    if isinstance(x, Tracer) or isinstance(share, Tracer):
        x = jnp.asarray(x)
        share = share.reshape(-1, *[1] * (x.ndim - 1))
        return _mixed(x=x, other=x[partner], share=share)
    x = np.asarray(x)
    kept = np.asarray(share).reshape(-1, *[1] * (x.ndim - 1))
    return _mixed(x=x, other=x[np.asarray(partner)], share=kept)


@elementwise("x", "other", "share")
def _mixed(*, x: AnyArray, other: AnyArray, share: AnyArray) -> jax.Array:
    mine = jnp.asarray(share).astype(x.dtype)
    return mine * x + (1 - mine) * other


@by_example(y="t")
def random_gain(
    n: Length,
    key: PRNGKey,
    y: Shaped[AnyArray, "*batch samples"],
    *,
    low_db: Number = -6.0,
    high_db: Number = 6.0,
) -> tuple[Float[jax.Array, "*batch samples"], Length]:
    """Return waveforms with a gain drawn uniformly between two limits in decibels.

    Args:
        key: JAX key.
        y: waveforms.
        low_db, high_db: limits of the gain, decibels.
    Raises:
        ParameterError: `low_db` above `high_db`.

    Example:
        >>> import jax
        >>> y = np.ones((3, 8), np.float32)
        >>> kit.dsp.random_gain(jax.random.key(0), y, low_db=-6, high_db=-6).round(2)[:, 0]
        Array([0.5, 0.5, 0.5], dtype=float32)
    """
    require(low_db <= high_db, "low_db", low_db, f"it must not exceed high_db (={high_db})")
    y = as_waveform(y)
    db = jax.random.uniform(key, (), y.dtype, low_db, high_db)
    return y * 10 ** (db / 20), n


@by_example(y="t")
def eq_tilt(
    n: Length,
    key: PRNGKey,
    y: Shaped[AnyArray, "*batch samples"],
    *,
    sr: Number,
    db_per_octave: Number = 1.5,
    pivot_hz: Number = 1000.0,
    limit_db: Number = 12.0,
) -> tuple[Float[jax.Array, "*batch samples"], Length]:
    """Return waveforms with a spectrum tilted about a frequency, by a slope drawn uniformly.

    Args:
        key: JAX key.
        y: waveforms, zero outside their samples.
        sr: sample rate, Hz.
        db_per_octave: steepest slope, up or down.
        pivot_hz: frequency with a gain of 0 dB.
        limit_db: greatest change at any frequency.
    Raises:
        ParameterError: a slope or limit below 0, a rate or a pivot not above 0.

    Example:
        >>> import jax
        >>> y = np.random.default_rng(0).standard_normal(8000).astype(np.float32)
        >>> kit.dsp.eq_tilt(jax.random.key(0), y, sr=8000).shape
        (8000,)
    """
    require(db_per_octave >= 0, "db_per_octave", db_per_octave, "it must not be negative")
    require(limit_db >= 0, "limit_db", limit_db, "it must not be negative")
    require(pivot_hz > 0, "pivot_hz", pivot_hz, "it must be above 0 Hz")
    require(sr > 0 and np.isfinite(sr), "sr", sr, "it must be above 0 Hz, and finite")
    y = as_waveform(y)
    # One transform for all lengths that share a program, with room for the end to fade out.
    size = fast_length(padded_length(y.shape[0]) * 3 // 2)
    octaves = jnp.log2(jnp.maximum(jnp.arange(size // 2 + 1) * (sr / size), 1.0) / pivot_hz)
    steepest = (-db_per_octave, db_per_octave)
    slope = jax.random.uniform(key, (), y.dtype, *steepest)
    db = jnp.clip(slope * octaves.astype(y.dtype), -limit_db, limit_db)
    return jnp.fft.irfft(jnp.fft.rfft(y, n=size) * 10 ** (db / 20), n=size)[: y.shape[0]], n


def time_shift(
    key: PRNGKey,
    y: Shaped[AnyArray, "*batch samples"],
    *,
    max_shift: int,
    wrap: bool = False,
) -> Float[jax.Array, "*batch samples"]:
    """Return waveforms moved later or earlier by up to `max_shift` samples, drawn uniformly.

    Args:
        key: JAX key.
        y: waveforms.
        max_shift: samples.
        wrap: move samples past one end to the other end; otherwise fill with silence.
    Raises:
        ParameterError: `max_shift` below 0.

    Example:
        >>> import jax
        >>> y = np.arange(4.0)
        >>> sorted(kit.dsp.time_shift(jax.random.key(0), y, max_shift=2, wrap=True).tolist())
        [0.0, 1.0, 2.0, 3.0]
    """
    max_shift = positive_int("max_shift", max_shift, least=0)
    return _shifted(key, y, max_shift=np.asarray(max_shift), wrap=wrap)


@by_example(y="t", max_shift="")
def _shifted(
    n: Length, key: PRNGKey, y: Shaped[AnyArray, "*batch samples"], *, max_shift: Any, wrap: bool
) -> tuple[Float[jax.Array, "*batch samples"], Length]:
    y = as_waveform(y)
    shift = jax.random.randint(key, (), -max_shift, max_shift + 1)
    came = jnp.arange(y.shape[0]) - shift
    if wrap:
        return y[came % n], n
    return jnp.where((came >= 0) & (came < n), y[jnp.clip(came, 0, n - 1)], 0), n


def _check_noise(given: dict[str, Any]) -> None:
    low, high, noise = given["snr_db"], given["high_snr_db"], given["noise"]
    require(high is None or low <= high, "snr_db", low, f"it must not exceed high_snr_db (={high})")
    if noise is not None:
        samples = given["y"].shape[-1:]
        require(noise.shape == samples, "noise.shape", noise.shape, f"it must be {samples}")


@by_example(y="t", noise="t", check=_check_noise, exact=draws_by_length)
def add_noise(
    n: Length,
    key: PRNGKey,
    y: Shaped[AnyArray, "*batch samples"],
    *,
    snr_db: Number = 20.0,
    high_snr_db: Number | None = None,
    noise: Any = None,
) -> tuple[Float[jax.Array, "*batch samples"], Length]:
    """Return waveforms with noise at a given signal-to-noise ratio.

    Args:
        key: JAX key.
        y: waveforms; silence gets no noise.
        snr_db: ratio of the mean squares, decibels.
        high_snr_db: draw the ratio uniformly from `snr_db` to this, decibels; None for `snr_db`.
        noise: (samples,) in place of white Gaussian noise; shifted at random.
    Raises:
        ParameterError: `snr_db` above `high_snr_db`, noise of a different length.

    Example:
        >>> import jax
        >>> y = np.ones(22050)
        >>> noise = kit.dsp.add_noise(jax.random.key(0), y, snr_db=20) - y
        >>> round(float(10 * np.log10((y**2).mean() / (noise**2).mean())))  # dB
        20
    """
    y = as_waveform(y)
    of_level, of_noise = jax.random.split(key)
    db = snr_db
    if high_snr_db is not None and high_snr_db > snr_db:
        db = jax.random.uniform(of_level, (), y.dtype, snr_db, high_snr_db)
    at = jnp.arange(y.shape[0])
    if noise is None:
        drawn = jnp.where(at < n, jax.random.normal(of_noise, y.shape, y.dtype), 0)
    else:
        drawn = as_waveform(noise, "noise")[(at - jax.random.randint(of_noise, (), 0, n)) % n]
        drawn = jnp.where(at < n, drawn, 0)
    level = _level(drawn, n)
    silent = level == 0
    unit = jnp.where(silent, 0, drawn / jnp.where(silent, 1, level))
    return y + unit * _level(y, n) * 10 ** (-jnp.asarray(db, y.dtype) / 20), n


def _level(x: Float[jax.Array, "samples"], n: Length) -> Float[jax.Array, ""]:
    """Return the root mean square, scaled first so that squares do not vanish."""
    peak = jax.lax.stop_gradient(jnp.max(jnp.abs(x)))
    some = peak != 0
    scaled = x / jnp.where(some, peak, 1)
    # The root has no finite slope at zero.
    power = jnp.where(some, jnp.sum(jnp.square(scaled)) / n, 1)
    return jnp.where(some, peak * jnp.sqrt(power), 0)
