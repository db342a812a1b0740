"""Stages that several commands share, with their progress bars and messages."""
