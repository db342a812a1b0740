"""Figures of tables and audio."""

from kit.explore.audio import Features
from kit.explore.explore import Exploration, explore
from kit.explore.figures import decibels, mel, track, waveform
from kit.explore.wall import wall

__all__ = ["Exploration", "Features", "decibels", "explore", "mel", "track", "wall", "waveform"]
