"""`make bench`: measure receiving, embedding and the whole flow, and print one table."""

# Worker processes import this module too, so slow imports happen in the parent only.
if __name__ == "__main__":
    from benchmarks.run_all import main

    main()
