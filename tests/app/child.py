"""What a training in the background runs: the program, in its folder, its output in files. See `Background`."""

import os
import sys

from cnnlab.app import programs

os.chdir(CWD)  # noqa: F821  (the names in capitals are given by the test)
for number, path in ((1, OUT), (2, ERR)):  # noqa: F821
    os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND), number)
sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
sys.argv = ["train.py", *ARGUMENTS]  # noqa: F821
programs.train()
