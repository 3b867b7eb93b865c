"""Many runs of one recipe: planned and checked before the first starts, each in a process of its own.

runs/RECIPE-sweep/
    sweep.json          what the sweep is, and its runs, see `rnnzoo.sweep.journal`
    NAME/               the folder of a run, as `rnnzoo fit` leaves it
    jobs/NAME/          its complete recipe, and what its process printed

Whether a run is done, and its score, is read from its own folder alone. So the same command goes on with a sweep that
was stopped or killed: what is finished stays, what has a training state goes on from it, the rest starts.
"""
