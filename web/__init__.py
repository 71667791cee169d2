"""The people and programs outside: the REST interface, the pages and the server."""
