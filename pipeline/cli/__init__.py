"""The `dental` command, a thin skin: one module per subject, one function per command."""
