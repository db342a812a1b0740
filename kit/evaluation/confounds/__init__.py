"""Confound probes: how the answers of a run move when the sound is changed."""
