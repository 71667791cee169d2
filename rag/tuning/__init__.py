"""Tuning: a LoRA adapter for an open model, from examples of grounded answers."""
