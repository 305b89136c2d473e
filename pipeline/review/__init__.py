"""The review page: one crop after the other, labelled by keyboard, served or as one file."""
