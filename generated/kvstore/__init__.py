__all__ = ['ttypes', 'constants', 'KeyValueStore']
