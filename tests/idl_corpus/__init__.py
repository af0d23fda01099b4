"""IDLs with the traits of those that people have, one trait a file, and what is needed to compile and to call them.

``idl/`` is for every compiler. ``newer/`` has what 0.17 and 0.19 refuse.
"""
