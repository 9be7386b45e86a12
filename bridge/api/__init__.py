"""The bridge's own kinds, and the names that it uses."""
