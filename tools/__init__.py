"""Set-up and first run; plain Python, so that a bare machine can run it."""
