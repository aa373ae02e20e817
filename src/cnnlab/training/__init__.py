"""Lightning modules and the fit. They receive networks, data modules and optimizers; they build none."""
