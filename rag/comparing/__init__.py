"""Several models on the same questions and passages, side by side."""
