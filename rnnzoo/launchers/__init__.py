"""What starts the processes of a run, on this machine or on others: see `rnnzoo.launchers.base`."""
