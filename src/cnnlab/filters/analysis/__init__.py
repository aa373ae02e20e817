"""What a kernel is: identification, spectrum, properties, drift."""
