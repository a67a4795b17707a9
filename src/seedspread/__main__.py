"""`python -m seedspread COMMAND`, the same as `seedspread COMMAND`."""

from seedspread.commands.cli import main

if __name__ == "__main__":
    main()
