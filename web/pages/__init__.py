"""The pages. They work without JavaScript and are better with it."""
