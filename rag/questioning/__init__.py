"""Questions drafted from the documents, for a person to approve."""
