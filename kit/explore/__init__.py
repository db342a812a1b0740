"""Figures of tables and audio, and the map of a catalogue."""

from kit.explore.explore import Exploration, explore
from kit.explore.map import write_map
from kit.explore.spectrograms import decibels, mel, track, waveform
from kit.explore.wall import wall

__all__ = [
    "Exploration",
    "decibels",
    "explore",
    "mel",
    "track",
    "wall",
    "waveform",
    "write_map",
]
