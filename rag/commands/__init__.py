"""The commands of the library itself: ask, search, evaluate, models."""
