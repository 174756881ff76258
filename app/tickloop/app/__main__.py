"""`python -m tickloop.app`: the command line, where no script is installed."""

from tickloop.app.cli import main

main()
