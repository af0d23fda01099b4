"""The demo: what ``scripts/demo`` runs."""
