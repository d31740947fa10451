"""``python -m hmminfer`` is the ``hmminfer`` command."""

from hmminfer.app.cli import main

if __name__ == "__main__":
    main()
