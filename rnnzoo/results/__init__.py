"""The table of results: what finished runs of shipped recipes gave, over their seeds, beside what was published.

    recipes/manifests/<recipe>-seed<N>.json     the facts of one run, copied from its summary by `rnnzoo results --keep`
    recipes/RESULTS.md, recipes/RESULTS.csv     made of them by `rnnzoo results --markdown FILE --csv FILE`
    rnnzoo/results/published.yaml               published figures, by recipe, and where each is printed

Only judging a run, which resolves recipes, imports torch; the table does not.
"""
