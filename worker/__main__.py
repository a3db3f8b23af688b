"""`python -m worker`, the same as `segmentation`."""

from worker.cli.commands import app
from worker.cli.console import escape_what_does_not_fit


def main() -> None:
    """Run the command line."""
    escape_what_does_not_fit()
    app()


if __name__ == "__main__":
    main()
