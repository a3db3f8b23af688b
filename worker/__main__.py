"""`python -m worker`, the same as `segmentation`."""

from worker.cli import reporting
from worker.cli.commands import app

__all__ = ["app", "main", "reporting"]


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
