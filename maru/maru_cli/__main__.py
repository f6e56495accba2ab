"""`python -m maru_cli` is the command `maru`."""

from maru_cli.main import main

if __name__ == "__main__":
    main()
