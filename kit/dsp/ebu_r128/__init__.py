"""Loudness of programme material: EBU R 128 and ITU-R BS.1770."""
