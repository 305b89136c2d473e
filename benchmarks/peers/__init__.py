"""Data engines doing the same work as the threads script, in an environment of their own."""
