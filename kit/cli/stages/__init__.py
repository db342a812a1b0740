"""The three stages that commands and scripts share, with their bars and sentences."""
