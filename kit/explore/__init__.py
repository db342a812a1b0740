"""Figures of tables and audio, and the map of a catalogue."""

from kit.explore.explore import Exploration, explore
from kit.explore.map import write_map
from kit.explore.spectrograms import track
from kit.explore.wall import wall

__all__ = ["Exploration", "explore", "track", "wall", "write_map"]
