"""The embedded default data set: invented artists' techno and EDM, rendered as MP3 files."""

from kit.demo.plan import Artist, TrackPlan, plan
from kit.demo.render import render, synthesise

__all__ = ["Artist", "TrackPlan", "plan", "render", "synthesise"]
