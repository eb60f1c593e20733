"""`python -m poet_hook` is the command line."""

if __name__ == "__main__":
    try:
        from poet_hook.cli.main import entry
    except KeyboardInterrupt:  # before there was anything to interrupt
        raise SystemExit(130) from None
    entry()
