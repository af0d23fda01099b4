"""Small IDLs, one trait of real IDLs a file, and helpers that compile and call them.

``idl/`` is for every compiler. ``newer/`` has IDLs that 0.17 and 0.19 refuse.
"""
