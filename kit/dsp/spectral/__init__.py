"""Features of a spectrogram, and the way back from them."""
