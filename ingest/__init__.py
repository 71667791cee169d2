"""The way in: from files to chunks that answer."""
