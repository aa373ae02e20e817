"""`python -m cnnlab`."""

from cnnlab.cli.entry import command

if __name__ == "__main__":
    command()
