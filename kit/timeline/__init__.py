"""What plays when in a DJ mix."""

from kit.timeline.sections import Section
from kit.timeline.tempo import Tempo
from kit.timeline.timeline import Join, Timeline, timeline

__all__ = ["Join", "Section", "Tempo", "Timeline", "timeline"]
