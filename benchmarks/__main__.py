"""`make bench`: measure the bars of speed, or those whose numbers are given."""

# Worker processes import this module too, so slow imports happen in the parent only.
if __name__ == "__main__":
    import sys

    from benchmarks.bars.run import main

    main([int(number) for number in sys.argv[1:]])
