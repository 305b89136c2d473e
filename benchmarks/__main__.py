"""`python -m benchmarks`: measure everything and print one table. `make bench` does that."""

# Worker processes import this module too: anything slow is imported in the parent alone.
if __name__ == "__main__":
    from benchmarks.run_all import main

    main()
