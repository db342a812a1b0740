"""Confound probes: how a run's answers change when the sound is changed."""
