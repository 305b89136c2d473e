"""Raw dental X-rays in; Parquet embeddings, a trained head and a ranked work-list out."""
