"""`python -m poet_hook` is the command line."""

from poet_hook.cli.main import entry

if __name__ == "__main__":
    entry()
