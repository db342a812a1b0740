"""Attribution: the parts of a spectrogram that a network's answer depends on."""
