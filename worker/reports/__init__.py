"""The monthly report: every change of a month as a file that anyone with the link can read."""
