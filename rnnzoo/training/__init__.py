"""What trains a model: the one LightningModule, optimizers, callbacks."""
