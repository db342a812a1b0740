"""kit: tell dance-music genres apart by ear, in JAX."""

__version__ = "0.1.0"
