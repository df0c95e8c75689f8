"""What a run shows that could be saved, what shows it, and the command that tries it."""
