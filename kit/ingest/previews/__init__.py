"""Download the previews whose addresses are in a catalogue's table."""
