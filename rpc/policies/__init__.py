"""What is decided about a call beside carrying it: one policy a file, pure, tested with a ``Clock``."""
