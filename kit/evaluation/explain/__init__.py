"""What a network listened to: the places of a spectrogram that its answer rests on."""
