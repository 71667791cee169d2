"""How well the library answers a set of questions, measured."""
