"""``python -m decoder``: the command ``opendump``."""

from decoder.cli.main import main

if __name__ == "__main__":
    main()
