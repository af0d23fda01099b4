__all__ = ['ttypes', 'constants', 'Report']
