"""Synthetic data set: techno and EDM of invented artists, rendered as MP3 files."""

from kit.demo.render import render, synthesise
from kit.demo.tracklist import Artist, TrackPlan, plan

__all__ = ["Artist", "TrackPlan", "plan", "render", "synthesise"]
