"""`python -m invact`: the command `invact`."""

from _invact.command import main

main()
