"""Reports of runs: prediction sheets and their gallery, training curves, tables of results, comparisons, errors."""
