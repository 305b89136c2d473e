"""Maintenance of a store: `dental doctor`, `why`, `retry`, `undo` and `forget`."""
