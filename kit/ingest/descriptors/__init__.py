"""A track's audio to the twelve descriptors, on `kit.dsp`: docs/descriptors.md has the formulas."""
