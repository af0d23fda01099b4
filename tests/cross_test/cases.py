"""All cases."""

from __future__ import annotations

from tests.cross_test import base_values, containers, endings, structs

CASES = (*base_values.CASES, *containers.CASES, *structs.CASES, *endings.CASES)
