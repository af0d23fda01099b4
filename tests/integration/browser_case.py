"""The base of tests in a browser: a headless Chromium, driven by Playwright.

Where one of them is missing, the tests that import this module are skipped, with the reason.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.integration.dashboard_case import DashboardCase

try:
    from playwright.sync_api import Browser, Locator, Page, Playwright, expect, sync_playwright
except ImportError:
    pytest.skip("Playwright is not installed; scripts/setup does it", allow_module_level=True)

CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("Chromium is not installed; scripts/setup does it", allow_module_level=True)

__all__ = ["BrowserCase", "Locator", "Page", "expect"]

SCREENSHOTS = os.environ.get("RPC_SCREENSHOTS")
"""A folder where the tests leave pictures of the page, to be looked at."""

PATIENCE = 15_000
"""Milliseconds until the page must show the expected content: it looks once a second."""


class BrowserCase(DashboardCase):
    """With a browser, which is started once for the class.

    :cvar browser: the browser.
    """

    playwright: ClassVar[Playwright]
    browser: ClassVar[Browser]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.playwright = sync_playwright().start()
        cls.addClassCleanup(cls.playwright.stop)
        # Chromium's sandbox does not work for root. The pages are our own.
        arguments = ["--no-sandbox"] if os.getuid() == 0 else []
        cls.browser = cls.playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        cls.addClassCleanup(cls.browser.close)
        expect.set_options(timeout=PATIENCE)

    @contextmanager
    def page(self, address: str | None = None, *, errors_allowed: bool = False, **context: Any) -> Iterator[Page]:
        """Open a page. At its end the browser's console has no error of a script and no violation of the CSP.

        :param context: options of Playwright's ``new_context``.
        """
        with self.browser.new_context(**context) as opened:
            opened.set_default_timeout(PATIENCE)
            page = opened.new_page()
            problems: list[str] = []
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.on("console", lambda line: problems.append(line.text) if line.type in ("error", "warning") else None)
            if address is not None:
                page.goto(address, wait_until="load")
            yield page
            if not errors_allowed:
                self.assertEqual(problems, [])

    def picture(self, page: Page, name: str, *, whole: bool = True) -> None:
        """Leave a picture for people, when one is wanted."""
        if SCREENSHOTS is not None:
            page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png", full_page=whole)
