"""Images as tensors, ready on the device: one table of sets, one data module, batched augmentation."""
