"""The same work as plain scripts, each as someone who wants it fast would write it.

They store embeddings and nothing else: no hashes, no crops, no ledger, no resume, no damaged files.
They import nothing of the pipeline and take its trunk from a file, so each can be copied and run.
"""
