"""The faults, one function each."""
