"""Fuzzing of all that reads bytes or text of others: the frames of a peer, messages, and the texts of users.

A harness is a module in ``harnesses/`` with a function ``one``, whose docstring is a promise about any bytes, and a
function ``seeds``, which gives the first inputs. ``scripts/fuzz`` searches for inputs that break a promise. The inputs
in ``corpus/`` are played by a unit test on every Python, also where the fuzzer atheris is not installed.
"""
