"""Invent names of artists, titles and albums, and make file names from them."""

import re
import unicodedata

import numpy as np

# Two halves make a name. The lists share no word: in the easy demo each artist has one genre.
_ARTISTS = {
    "techno": (
        "Kühlregal/Ölstand/Betonkatze/Nachtbus/Døgnvill/Fräse/Sumpfradio/Granulat/Żelbet/"
        "Unterdruck/Kernschatten/Tåkelur/Schwungrad/Rohrpost",
        "Kombinat/9000/& Söhne/Protokoll/Ost/Apparat Nr. 4/Delta/ohne Dach",
    ),
    "edm": (
        "Piñata/Señor Confetti/Glitterfish/DJ Crème Brûlée/Sugarquake/Łunapark/Pixel Papaya/"
        "Boomerangutan/Wünderkite/Holo Koala/Zéphyr Zoo/Neon Ñandú/Captain Sparkle/"
        "Marshmallow Moon",
        "Deluxe/Express/& the Big Balloons/Überall/Club/Forever/Jr./Rocket",
    ),
}
_TITLES = {
    "techno": (
        "Leerlauf/Hallraum/Zwischengleis/Schacht/Ventil/Notstrom/Rückkopplung/Tiefgarage/"
        "Phasenlage/Mørke/Kondensator/Estrich/Drehmoment/Grauguß",
        "II/3 Uhr/(Keller)/B1/Nord/im Nebel/rückwärts/0.7/Süd/(dub)",
    ),
    "edm": (
        "Hands Above/Café del Sunrise/Heartbeat/Fireworks/Gravity/Jalapeño Sky/Summer Déjà Vu/"
        "Supernova/Paper Planes/Trampoline/Wild Lemonade/Holiday/Mañana/Golden",
        "Tonight/(Festival Mix)/Without You/Again/in Color/for Ever & Ever/Higher/4 U/(Rooftop)/"
        "Baby",
    ),
}
# Letters without a decomposition into a plain letter and an accent.
_PLAIN = str.maketrans({"ø": "o", "ß": "ss", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe"})


def _draw(halves: tuple[str, str], n: int, rng: np.random.Generator) -> list[str]:
    first, second = (half.split("/") for half in halves)
    rng.shuffle(first)
    rng.shuffle(second)
    # Use every first half once before repeating one, each time with another second half, so that
    # small sets also vary.
    pairs = [
        f"{name} {second[(turn + i) % len(second)]}"
        for turn in range(len(second))
        for i, name in enumerate(first)
    ]
    rounds = -(-n // len(pairs))
    names = [pair if r == 0 else f"{pair} {r + 1}" for r in range(rounds) for pair in pairs]
    return names[:n]


def artists(label: str, n: int, rng: np.random.Generator) -> list[str]:
    """Return `n` different names of artists of a genre."""
    return _draw(_ARTISTS[label], n, rng)


def titles(label: str, n: int, rng: np.random.Generator) -> list[str]:
    """Return `n` different titles of a genre."""
    return _draw(_TITLES[label], n, rng)


def slug(text: str) -> str:
    """Return a name as lower-case ASCII for a file's name: words joined by hyphens."""
    folded = unicodedata.normalize("NFKD", text.lower().translate(_PLAIN))
    ascii_text = folded.encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_text).strip("-") or "untitled"
