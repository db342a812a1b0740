"""What Spotify's terms say of this, in the words that a person and the catalogue are told."""

NOTICE = (
    "Spotify's Developer Policy, section III.14, and its Developer Terms, section IV.2.a, forbid "
    "the use of its content to train machine-learning models. Apps made since 2024-11-27, and "
    "older ones in development mode, get neither audio features nor previews; those made since "
    "2026-02-11 read only playlists that their user owns or works on. Train on audio that you have "
    "a right to: kit scan."
)
