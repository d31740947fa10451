"""``python -m hmminfer`` is the ``hmminfer`` command."""

from .cli import main

if __name__ == "__main__":
    main()
