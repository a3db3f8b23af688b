"""The command line: one module for each family of commands, wired in `commands`."""
