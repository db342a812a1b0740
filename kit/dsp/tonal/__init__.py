"""Constant-Q transforms, chroma, tuning and key."""
