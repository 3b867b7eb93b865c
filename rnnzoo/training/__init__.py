"""Training: the one LightningModule, the Trainer and its options, optimizers, callbacks."""
