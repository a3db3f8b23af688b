"""`python -m worker`, the same as `segmentation`."""

from worker.cli.commands import app


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
