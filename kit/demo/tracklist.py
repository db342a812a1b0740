"""Plan of the artists and tracks to render."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass

import numpy as np

from kit.config import DemoConfig
from kit.demo import names
from kit.demo.drums import DrumKit, draw_kit

LABELS = ("techno", "edm")
BOTH = "both"
KEYS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
SCALES = {"minor": (0, 2, 3, 5, 7, 8, 10), "major": (0, 2, 4, 5, 7, 9, 11)}
SPECTRUM_BANDS = 10
"""Octave bands in which a mix has its own balance."""

_ARTIST_STREAM, _PLAN_STREAM, _TRACK_STREAM = 0, 1, 2
# Part of every track's fingerprint; raise it when the sound changes, to render files again.
_VERSION = 3


@dataclass(frozen=True)
class Artist:
    """Properties that all tracks of one artist share, whatever their genre.

    Example:
        >>> from kit.demo import plan
        >>> track = plan(kit.DemoConfig(tracks=4, artists=4))[0]
        >>> [artist.label for artist in track.artists]
        ['techno']
    """

    name: str
    label: str
    """The genre of the artist's tracks; `BOTH` in the harder demo."""
    drums: DrumKit
    drum_seed: int
    keys: tuple[int, ...]
    tempo_bpm: float
    swing: float
    loudness_db: float
    width: float
    reverb_s: float
    reverb_level: float
    tilt_db: tuple[float, ...]
    tastes: tuple[float, ...]
    """Eight numbers in 0 to 1; each genre reads its own habits from them."""


@dataclass(frozen=True)
class TrackPlan:
    """One track: the parameters to render it, and the facts about it.

    Example:
        >>> from kit.demo import plan
        >>> track = plan(kit.DemoConfig(tracks=4, artists=4))[0]
        >>> track.label, track.mode, track.duration_s
        ('techno', 'minor', 30.0)
    """

    index: int
    path: str
    label: str
    artists: tuple[Artist, ...]
    title: str
    album: str
    date: str
    duration_s: float
    tempo_bpm: float
    key: int
    mode: str
    loudness_db: float
    tilt_db: tuple[float, ...]
    seed: int
    pair: int | None = None
    """In the harder demo, the number that this track shares with one of the other genre; `None`
    in the easy one."""

    @property
    def root(self) -> int:
        """MIDI note of the bass: the key's tonic from F#1 to F2."""
        return 36 + self.key if self.key < 6 else 24 + self.key

    @property
    def artist_names(self) -> list[str]:
        """Names of the artists, the main one first."""
        return [artist.name for artist in self.artists]

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that depend on the whole plan."""
        fields = dataclasses.asdict(self)
        if self.pair is None:  # as before pairs existed, so that existing files stay valid
            del fields["pair"]
        text = json.dumps([_VERSION, fields], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def rng(self) -> np.random.Generator:
        """Return the random generator of the track or, in the harder demo, of its pair.

        It depends only on the seed and the index, or the number of the pair.
        """
        number = self.index if self.pair is None else self.pair
        return np.random.default_rng(_sequence(self.seed, _TRACK_STREAM, number))


def _sequence(seed: int, stream: int, index: int) -> np.random.SeedSequence:
    return np.random.SeedSequence(entropy=seed, spawn_key=(stream, index))


def _draw_artists(called: list[str], label: str, config: DemoConfig, first: int) -> list[Artist]:
    streams = (_sequence(config.seed, _ARTIST_STREAM, first + i) for i in range(len(called)))
    return [
        _draw_artist(name, label, np.random.default_rng(stream))
        for name, stream in zip(called, streams, strict=True)
    ]


def _draw_artist(name: str, label: str, rng: np.random.Generator) -> Artist:
    # Tempo, loudness and balance come from the same ranges in both genres: they identify artists,
    # not genres.
    return Artist(
        name=name,
        label=label,
        drums=draw_kit(rng),
        drum_seed=int(rng.integers(2**32)),
        keys=tuple(int(k) for k in rng.choice(12, 3, replace=False)),
        tempo_bpm=rng.uniform(123.0, 137.0),
        swing=rng.choice([0.0, 0.0, 0.06, 0.12]).item(),
        loudness_db=rng.uniform(-20.0, -15.0),
        width=rng.uniform(0.3, 1.0),
        reverb_s=rng.uniform(0.15, 0.5),
        reverb_level=rng.uniform(0.1, 0.35),
        tilt_db=tuple(rng.normal(0.0, 3.5, SPECTRUM_BANDS).tolist()),
        tastes=tuple(rng.uniform(size=8).tolist()),
    )


def _partner(artists: list[Artist], number: int) -> Artist | None:
    # Two pairs of twelve at most: a split by artist needs many groups that are apart.
    pairs = min(2, len(artists) // 6)
    return artists[number + 1] if number % 2 == 0 and number // 2 < pairs else None


def _plan_track(
    index: int, round_: int, number: int, artists: list[Artist], title: str, config: DemoConfig
) -> TrackPlan:
    rng = np.random.default_rng(_sequence(config.seed, _PLAN_STREAM, index))
    artist = artists[number]
    partner = _partner(artists, number) if round_ % 3 == 1 else None
    together = (artist,) if partner is None else (artist, partner)
    # Techno's riffs are written in minor scales.
    minor = bool(rng.uniform() < 0.6) or artist.label == "techno"
    # Albums of three tracks: the title of an album is that of its artist and year.
    year = 2004 + (artist.drum_seed % 16) + round_ // 3
    return TrackPlan(
        index=index,
        path=f"{artist.label}/{names.slug(artist.name)}-{names.slug(title)}.mp3",
        label=artist.label,
        artists=together,
        title=title,
        album=f"{artist.name.split()[0]} {year}",
        date=str(year) if rng.uniform() < 0.5 else f"{year}-{1 + rng.integers(12):02d}-15",
        duration_s=config.duration_s,
        tempo_bpm=round(float(np.clip(artist.tempo_bpm + rng.normal(0, 2.0), 120, 140)), 2),
        key=artist.keys[int(rng.integers(len(artist.keys)))],
        mode="minor" if minor else "major",
        loudness_db=round(artist.loudness_db + rng.normal(0.0, 0.7), 2),
        tilt_db=tuple((np.array(artist.tilt_db) + rng.normal(0, 2.0, SPECTRUM_BANDS)).tolist()),
        seed=config.seed,
    )


def plan(config: DemoConfig) -> list[TrackPlan]:
    """Return every track of the demo, techno first; the same for the same configuration.

    The artists take turns, so that their numbers of tracks differ by at most one in each genre; a
    few tracks have two artists. In the easy demo an artist has one genre. In the harder one every
    artist has both, and tracks come in pairs, one of each genre, with equal artist, tempo, key,
    level, balance and random draws.

    Example:
        >>> from kit.demo import plan
        >>> [track.label for track in plan(kit.DemoConfig(tracks=4, artists=4))]
        ['techno', 'techno', 'edm', 'edm']
    """
    return _plan_pairs(config) if config.difficulty == "hard" else _plan_apart(config)


def _plan_apart(config: DemoConfig) -> list[TrackPlan]:
    tracks: list[TrackPlan] = []
    for which, label in enumerate(LABELS):
        share = _share(config.tracks, which)
        count = _share(config.artists, which)
        rng = np.random.default_rng(_sequence(config.seed, _PLAN_STREAM, 10**6 + which))
        artists = _draw_artists(names.artists(label, count, rng), label, config, which * 10**6)
        for i, title in enumerate(names.titles(label, share, rng)):
            track = _plan_track(len(tracks), i // count, i % count, artists, title, config)
            tracks.append(track)
    return tracks


def _plan_pairs(config: DemoConfig) -> list[TrackPlan]:
    rng = np.random.default_rng(_sequence(config.seed, _PLAN_STREAM, 2 * 10**6))
    called = [
        name
        for which, label in enumerate(LABELS)
        for name in names.artists(label, _share(config.artists, which), rng)
    ]
    artists = _draw_artists(called, BOTH, config, 2 * 10**6)
    tracks: list[TrackPlan] = []
    for which, label in enumerate(LABELS):
        for pair, title in enumerate(names.titles(label, _share(config.tracks, which), rng)):
            round_, number = divmod(pair, len(artists))
            alike = _plan_track(pair, round_, number, artists, title, config)
            path = alike.path.replace(BOTH, label, 1)
            tracks.append(
                dataclasses.replace(alike, index=len(tracks), path=path, label=label, pair=pair)
            )
    return tracks


def _share(total: int, which: int) -> int:
    """Return how many of `total` belong to a genre: half of them, techno the odd one."""
    return (total + 1 - which) // 2
