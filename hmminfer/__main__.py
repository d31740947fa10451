"""``python -m hmminfer`` is the ``hmminfer`` command."""

from .cli import main

main()
