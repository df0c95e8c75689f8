"""`python -m mnv3prof`: the command line, where the script is not on the PATH."""

from .cli.main import main

if __name__ == "__main__":
    main()
