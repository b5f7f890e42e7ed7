"""`python -m steadyword` is the command `asr`."""

from steadyword import main

if __name__ == "__main__":
    main()
