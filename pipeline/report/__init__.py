"""The page of a batch: figures, tables and words. Knows neither stores nor stages."""
