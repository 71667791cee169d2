"""One model that writes several completions together: requests join and leave between steps."""
