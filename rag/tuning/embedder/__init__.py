"""Tuning an embedder: questions nearer to the passages that answer them than to others."""
