// A file without a definition.
