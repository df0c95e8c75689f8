"""What other tools measured on phones and boards: reading what they print, and making a run of it."""
