"""Options of a collection: its split, its previews, and the demo."""

import math
from dataclasses import dataclass, field
from typing import Literal

from kit.config.base import LATER, Checked


@dataclass(frozen=True)
class SplitConfig(Checked):
    """Configuration of the split into train, validation and test.

    Example:
        >>> kit.SplitConfig(by="track", folds=5).folds
        5
        >>> kit.SplitConfig(test_fraction=2.0)
        Traceback (most recent call last):
            ...
        kit.errors.ConfigError: SplitConfig.test_fraction is 2.0; it must lie between 0 and 1
    """

    by: str = "artist"
    """Column whose equal values stay in one part: "artist", "track", or any other column, such as
    "speaker"; or "random", the original project's stratified split of tracks."""
    test_fraction: float = 0.2
    """Share of the tracks held out for the final test."""
    validation_fraction: float = 0.1
    """Share held out to choose the best checkpoint; with 0 the last checkpoint is used."""
    seed: int = 42
    """Seed of the draw of the held-out groups."""
    shuffle_labels: bool = False
    """Shuffle the labels over the groups, as a control: no network should beat chance."""
    folds: int | None = field(default=None, metadata=LATER)
    """Number of stratified folds: train one network for each, so that every track is tested once.
    test_fraction is then ignored."""
    fold_column: str | None = field(default=None, metadata=LATER)
    """Column with the official fold of each track; use it in place of folds."""
    allow_leaks: bool = field(default=False, metadata=LATER)
    """Train even if official folds cut a group, such as an artist or the copies of a recording; the
    report then says that the accuracy is too high."""

    @property
    def is_folded(self) -> bool:
        """Return whether there is one split for each fold."""
        return self.folds is not None or self.fold_column is not None

    def _check(self) -> None:
        self._require("by", bool(self.by), 'name a column, "artist", "track" or "random"')
        self._require("test_fraction", 0 < self.test_fraction < 1, "it must lie between 0 and 1")
        if not 0 <= self.validation_fraction < (most := 1 - self.test_fraction):
            rule = f"it must lie between 0 and 1 - test_fraction (={most:g})"
            self._refuse("validation_fraction", rule)
        self._is_seed("seed")
        self._at_least(2, "folds")
        if self.folds is not None and self.fold_column is not None:
            rule = f"leave it out: SplitConfig.fold_column (={self.fold_column!r}) names the folds"
            self._refuse("folds", rule)
        self._require("fold_column", self.fold_column != "", "name a column")


@dataclass(frozen=True)
class PreviewConfig(Checked):
    """Configuration of the download of previews.

    Example:
        >>> kit.PreviewConfig(connections=1).max_mb
        20.0
    """

    hosts: tuple[str, ...] = ()
    """Hosts to download from besides Spotify's scdn.co; their subdomains are included."""
    connections: int = 2
    """Downloads at the same time."""
    max_mb: float = 20.0
    """Refuse larger files, megabytes (1,000,000 bytes)."""
    connect_s: float = 10.0
    """Time limit to connect, seconds."""
    read_s: float = 20.0
    """Time limit from one packet to the next, seconds."""
    total_s: float = 120.0
    """Time limit for one attempt, seconds."""
    tries: int = 4
    """Attempts for each preview if the server fails or asks to wait."""
    backoff_s: float = 1.0
    """Unit of the pauses between attempts, seconds: no pause first, then 2, 4, 8 times this."""
    longest_wait_s: float = 120.0
    """Skip a host that asks to wait longer than this, seconds."""

    def _check(self) -> None:
        rule = "it must be a host name such as previews.example, without https:// or a path"
        good = all(h and not set(h) & set("/:@ *") for h in self.hosts)
        self._require("hosts", good, rule)
        self._require("connections", 1 <= self.connections <= 8, "it must lie between 1 and 8")
        self._require("tries", 1 <= self.tries <= 20, "it must lie between 1 and 20")
        self._above_zero("max_mb", "connect_s", "read_s", "total_s")
        for name in ("backoff_s", "longest_wait_s"):
            rule = "it must be a number of seconds that is not negative"
            self._require(name, 0 <= getattr(self, name) < math.inf, rule)

    @property
    def max_bytes(self) -> int:
        """`max_mb` in bytes."""
        return round(self.max_mb * 1e6)


@dataclass(frozen=True)
class DemoConfig(Checked):
    """The embedded demo: synthetic techno and EDM of invented artists.

    Example:
        >>> from kit.demo import plan
        >>> len(plan(kit.DemoConfig(tracks=8, artists=4)))
        8
    """

    tracks: int = 144
    """Number of tracks, half of each genre."""
    artists: int = 24
    """Number of invented artists, half of each genre."""
    duration_s: float = 30.0
    """Length of a track, seconds."""
    seed: int = 0
    """Seed of the artists and tracks."""
    difficulty: Literal["easy", "hard"] = "easy"
    """easy: the genres differ in sound and arrangement, and in their artists. hard: every artist
    plays both genres, which differ only in the order of three sounds in a bar."""

    def _check(self) -> None:
        self._at_least(4, "artists")
        self._at_least(self.artists, "tracks")
        if self.difficulty == "hard" and self.tracks < 2 * self.artists:
            self._refuse(
                "tracks",
                "with DemoConfig.difficulty hard every artist has a track of each genre: it must "
                f"be at least {2 * self.artists}",
            )
        self._at_least(1, "duration_s")
        self._is_seed("seed")


@dataclass(frozen=True)
class MixConfig(Checked):
    """A synthetic DJ mix of tracks of the demo's kind.

    Example:
        >>> kit.config.MixConfig(minutes=30.0).longest_fade_s
        60.0
    """

    minutes: float = 90.0
    """Length of the mix, minutes."""
    seed: int = 1000
    """Seed of the artists, the tracks and their order; the demo's own tracks have another."""
    shortest_s: float = 120.0
    """Shortest stretch that is played of a track, seconds."""
    longest_s: float = 330.0
    """Longest stretch that is played of a track, seconds."""
    shortest_fade_s: float = 8.0
    """Shortest cross-fade, seconds."""
    longest_fade_s: float = 60.0
    """Longest cross-fade, seconds."""
    difficulty: Literal["easy", "hard"] = "easy"
    """As `DemoConfig.difficulty`."""

    def _check(self) -> None:
        self._above_zero("minutes")
        self._at_least(1, "shortest_fade_s")
        self._is_seed("seed")
        self._require("minutes", self.minutes <= 360, "it must be at most 360")
        for short, long in (("shortest_s", "longest_s"), ("shortest_fade_s", "longest_fade_s")):
            rule = f"it must be at least {short} (={getattr(self, short):g})"
            self._require(long, getattr(self, long) >= getattr(self, short), rule)
        if self.shortest_s < (both := 2 * self.longest_fade_s):
            rule = f"a track must hold two cross-fades: it must be at least {both:g}"
            self._refuse("shortest_s", rule)

    @property
    def name(self) -> str:
        """Name of the mix's files."""
        hard = "-hard" if self.difficulty == "hard" else ""
        return f"mix-{self.minutes:g}min{hard}-{self.seed}"
