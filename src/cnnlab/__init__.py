"""cnnlab: a lab bench for convolution. The rooms and their order are in CONTRIBUTING.md."""
