"""A trained run in numbers: sample quality, slopes of D, Lipschitz bound, attack endurance; samples and checksums."""
