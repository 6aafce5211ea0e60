"""`python -m parsnlp` is the program `parsnlp`."""

from parsnlp.interfaces.cli import main

if __name__ == "__main__":
    main()
