"""`python -m tfpar COMMAND ...` is the command `tfpar COMMAND ...`."""

from tfpar.cli.main import main

main()
