"""Folders as public data sets, storage appliances and practices leave them, made of phantoms."""
