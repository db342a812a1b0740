"""Onsets, tempo and beats."""
