"""The open models: where they lie, how they get there, how they run."""
