"""Published weights: converted from the authors' package and kept in the user's data folder."""

from typing import Literal, TypeAlias

Model: TypeAlias = Literal["MSD_musicnn", "MTT_musicnn"]
"""musicnn trained on the Million Song Dataset, or on MagnaTagATune."""
