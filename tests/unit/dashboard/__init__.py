"""The dashboard, without a broker and without a browser."""
