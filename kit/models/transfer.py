"""musicnn with published weights: frozen layers, and layers that are fitted or trained."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from kit.config import MusicnnConfig
from kit.models.musicnn import GLOROT, Musicnn


class Frozen(nnx.Variable):
    """A frozen weight: not an `nnx.Param`, so it has neither gradient nor decay."""


class Standardise(nnx.Module):
    """Standardise units by frozen means and deviations over the training tracks."""

    def __init__(self, width: int) -> None:
        self.mean = Frozen(jnp.zeros(width))
        self.deviation = Frozen(jnp.ones(width))

    def __call__(self, x: Float[Array, "batch width"]) -> Float[Array, "batch width"]:
        """Return the standardised units."""
        return (x - self.mean[...]) / self.deviation[...]


class Pretrained(Musicnn):
    """musicnn with frozen lower layers and fixed statistics of batch norm.

    `MusicnnConfig.transfer` decides where the frozen layers end:

    - "probe": after both hidden layers; the output is linear in their standardised units;
    - "head": after pooling; the hidden dense layer is musicnn's, the output is new;
    - "fine-tune": after the filters; the output is that of the probe.
    """

    def __init__(
        self, config: MusicnnConfig, n_mels: int, n_classes: int, *, rngs: nnx.Rngs
    ) -> None:
        super().__init__(config, n_mels, n_classes, rngs=rngs)
        self.transfer = config.transfer
        below: list[nnx.Module] = [*self.timbral, *self.temporal]
        if config.transfer != "fine-tune":
            below += self.middle
        if config.transfer == "probe":
            below += [self.norm_pooled, self.dense, self.norm_dense]
        if config.transfer != "head":
            width = self.dense.in_features + config.dense
            self.standardise = Standardise(width)
            self.head = nnx.Linear(width, n_classes, kernel_init=GLOROT, rngs=rngs)
        for module in below:
            _freeze(module)
        self.scale_input = Frozen(self.scale_input[...])
        self.shift_input = Frozen(self.shift_input[...])

    def train(self, **attributes: bool) -> None:
        """Switch to training mode, except batch norm: few tracks would shift its statistics."""
        super().train(**attributes)
        self.set_attributes(nnx.BatchNorm, use_running_average=True)

    def __call__(self, x: Float[Array, "batch frames n_mels"]) -> Float[Array, "batch n_classes"]:
        """Return the logits of a batch of segments, time first.

        Raises:
            ValueError: the segments are shorter than `MusicnnConfig.least_frames`.
        """
        # The frozen weights are float32 in any precision.
        return self.trained(self.frozen(x.astype(jnp.float32)).astype(x.dtype))

    def frozen(self, x: Float[Array, "batch frames n_mels"]) -> Float[Array, "batch rows units"]:
        """Return the frozen layers' outputs: one row of units, or one a frame in fine-tune."""
        if self.transfer == "fine-tune":
            return self.front(x)
        pooled = self.pool(self.trunk(x))
        return (pooled if self.transfer == "head" else self._layers(pooled))[:, None]

    def trained(self, h: Float[Array, "batch rows units"]) -> Float[Array, "batch n_classes"]:
        """Return the logits for the frozen layers' outputs."""
        if self.transfer == "head":
            return self.head(self.dropout(self.penultimate(h[:, 0])))
        return self.head(self.dropout(self.standardise(self.embed(h))))

    def embed(self, h: Float[Array, "batch rows units"]) -> Float[Array, "batch hidden"]:
        """Concatenate the pooled and the penultimate layer; not for transfer "head"."""
        return h[:, 0] if self.transfer == "probe" else self._layers(self.pool(self.above(h)))

    def embed_input(self, x: Float[Array, "batch frames n_mels"]) -> Float[Array, "batch hidden"]:
        """Return `embed` of a batch of segments."""
        return self.embed(self.frozen(x))

    def _layers(self, pooled: Float[Array, "batch pooled"]) -> Float[Array, "batch hidden"]:
        return jnp.concatenate([pooled, self.penultimate(pooled)], axis=-1)


def _freeze(module: nnx.Module) -> None:
    """Replace a module's parameters by frozen weights."""
    for _, node in nnx.iter_graph(module):
        for name, value in list(getattr(node, "__dict__", {}).items()):
            if isinstance(value, nnx.Param):
                setattr(node, name, Frozen(value[...]))
