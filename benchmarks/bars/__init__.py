"""The bars of `make bench`: goals of speed, as ratios within one run or as seconds of a command."""
