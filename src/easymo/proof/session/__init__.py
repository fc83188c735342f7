"""One run: what is played, in which order, and what comes out of it."""
