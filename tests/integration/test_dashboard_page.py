"""The dashboard's page in a browser."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.browser_case import BrowserCase, Locator, Page, expect
from tests.integration.dashboard_fleet import SECRET
from tools.nodes.rabbitmq import free_ports

TAGS = '<b onmouseover="alert(1)">Tags</b>&amp;<script>document.title = "owned"</script>'


def services(page: Page) -> list[str]:
    """Return the names in the table, in its order."""
    return page.locator("#services-table tbody th").all_inner_texts()


def cell(page: Page, service: str, column: int) -> Locator:
    """Return a cell of a service's row; the name has column 0."""
    row = page.locator("#services-table tbody tr").filter(has=page.get_by_role("button", name=service, exact=True))
    return row.locator("td").nth(column - 1)


class PageTests(BrowserCase):
    """Two workers with a few services, and their page."""

    def setUp(self) -> None:
        self.adder, self.asker = self.unique("Adder"), self.unique("Asker")
        self.tags = self.unique(TAGS)
        self.host = self.virtual_host()
        self.fleets = [self.fleet(self.adder, self.asker, self.tags, url=self.host) for _ in range(2)]
        (port,) = free_ports(1)  # below those of outgoing connections, so it stays free when the dashboard is away
        self.program = self.dashboard(url=self.host, port=port)
        self.address_of_page = self.address(self.program)

    def test_shows_services_and_workers(self) -> None:
        """Rates, times, errors and methods move without a reload."""
        with self.page(self.address_of_page, color_scheme="light", viewport={"width": 1280, "height": 900}) as page:
            expect(page.locator("#status")).to_have_text("live")
            expect(page.locator("#services-table tbody tr")).to_have_count(3)
            expect(page.locator("#workers-table tbody tr")).to_have_count(2)
            expect(page.locator("#workers-table tbody td").filter(has_text="ALIVE")).to_have_count(2)
            expect(cell(page, self.adder, 1)).to_have_text(re.compile(r"^[1-9]"))
            expect(cell(page, self.adder, 2)).to_have_text(re.compile(r"^(0\.|[1-9])"))
            expect(cell(page, self.adder, 4)).to_have_text(re.compile(r"(µs|ms|s)$"))
            expect(cell(page, self.adder, 8)).to_have_text("2")
            expect(page.locator("#rate-text")).to_have_text(re.compile(r"calls/s: [1-9]"))
            expect(page.locator(".chart canvas")).to_have_count(3)
            page.wait_for_timeout(6000)  # for the picture alone
            self.picture(page, "light")

    def test_shows_one_service(self) -> None:
        """By keyboard, by a link, and back. Its methods have their errors by name."""
        with self.page(self.address_of_page, color_scheme="dark", viewport={"width": 1280, "height": 900}) as page:
            page.get_by_role("button", name=self.adder, exact=True).focus()
            page.keyboard.press("Enter")
            expect(page.locator("#focus-title")).to_have_text(self.adder)
            expect(page.locator("#focus-title")).to_be_focused()
            methods = page.locator("#methods tbody tr")
            expect(methods).to_have_count(2)
            expect(methods.filter(has_text="blob")).to_contain_text("LookupError")
            expect(methods.filter(has_text="add")).to_contain_text("none")
            expect(page.locator("#workers-title")).to_have_text(f"Workers of {self.adder}")
            link = page.url
            page.wait_for_timeout(4000)
            self.picture(page, "service-dark")
            page.keyboard.press("Escape")
            expect(page.locator("#focus-title")).to_have_text("All services")
            page.go_back()
            expect(page.locator("#focus-title")).to_have_text(self.adder)
            page.get_by_role("button", name="Show all services").click()
            expect(page.locator("#methods-section")).to_be_hidden()
        with self.page(link) as page:
            expect(page.locator("#methods tbody tr")).to_have_count(2)

    def test_texts_of_peers_are_text(self) -> None:
        """A name with tags is shown as it is: in tables, in the title, and in the address."""
        with self.page(self.address_of_page) as page:
            button = page.get_by_role("button", name=self.tags, exact=True)
            expect(button).to_be_visible()
            button.click()
            expect(page.locator("#focus-title")).to_have_text(self.tags)
            expect(page.locator("#workers-table tbody tr")).to_have_count(2)
            self.assertEqual(page.locator("main b, main script").count(), 0)
            self.assertEqual(page.title(), "Thrift RPC dashboard")

    def test_nothing_secret_is_on_the_page(self) -> None:
        """No password, no argument, also not in the text of an error; and not in the events that the browser gets."""
        received: list[str] = []
        with self.page() as page:
            page.add_init_script(
                "window.heard = []; const Source = EventSource; window.EventSource = class extends Source {"
                " addEventListener(name, take) { super.addEventListener(name, (event) => {"
                " window.heard.push(event.data); take(event); }); } }"
            )
            page.goto(f"{self.address_of_page}#service={self.adder}")
            expect(page.locator("#methods tbody tr").filter(has_text="LookupError")).to_have_count(1)
            received += page.evaluate("window.heard")
            received.append(page.content())
        self.assertGreater(len(received), 3)
        for text in received:
            self.assertNotIn(SECRET, text)
            self.assertNotIn("guest:guest", text)

    def test_the_page_can_be_paused(self) -> None:
        """Then it asks for nothing, and stays as it is."""
        with self.page(self.address_of_page) as page:
            expect(page.locator("#status")).to_have_text("live")
            pause = page.get_by_role("button", name="Pause")
            pause.click()
            expect(page.locator("#status")).to_have_text("paused")
            expect(pause).to_have_attribute("aria-pressed", "true")
            before = page.locator("#rate-text").inner_text()
            page.wait_for_timeout(2500)
            self.assertEqual(page.locator("#rate-text").inner_text(), before)
            pause.click()
            expect(page.locator("#status")).to_have_text("live")

    def test_a_service_without_workers_stays(self) -> None:
        """Its row stays, and its number of workers is marked."""
        with self.page(self.address_of_page) as page:
            expect(cell(page, self.adder, 8)).to_have_text("2")
            for fleet, left in zip(self.fleets, ("1", "0"), strict=True):
                fleet.end()
                expect(cell(page, self.adder, 8)).to_have_text(left, timeout=60_000)  # it goes after ten seconds
            expect(cell(page, self.adder, 8)).to_have_attribute("data-level", "bad")
            self.picture(page, "without-workers")

    def test_works_on_the_width_of_a_phone(self) -> None:
        """Nothing is cut off: the page does not scroll sideways, only its tables do."""
        phone: dict[str, Any] = {"viewport": {"width": 375, "height": 720}, "has_touch": True, "is_mobile": True}
        for scheme in ("light", "dark"):
            with self.page(self.address_of_page, color_scheme=scheme, **phone) as page:
                for target in ("", f"#service={self.adder}"):
                    page.goto(f"{self.address_of_page}{target}")
                    expect(page.locator("#status")).to_have_text("live")
                    expect(page.locator("#workers-table tbody tr")).to_have_count(2)
                    self.assertLessEqual(page.evaluate("document.documentElement.scrollWidth"), 375)
                    page.wait_for_timeout(3000)
                    self.picture(page, f"phone-{scheme}{'-service' if target else ''}")

    def test_dark_mode_follows_the_system(self) -> None:
        """Also while the page is open; the charts are drawn anew."""
        with self.page(self.address_of_page, color_scheme="light") as page:
            expect(page.locator("#status")).to_have_text("live")
            body = page.locator("body")
            light = body.evaluate("element => getComputedStyle(element).backgroundColor")
            page.emulate_media(color_scheme="dark")
            self.assertNotEqual(body.evaluate("element => getComputedStyle(element).backgroundColor"), light)
            expect(page.locator(".chart .uplot")).to_have_count(3)

    def test_all_can_be_done_by_keyboard(self) -> None:
        """The focus goes from the top to the bottom, and shows where it is."""
        with self.page(self.address_of_page) as page:
            expect(page.locator("#services-table tbody tr")).to_have_count(3)
            reached: list[str] = []
            for _ in range(40):
                page.keyboard.press("Tab")
                reached.append(
                    page.evaluate(
                        "() => { const it = document.activeElement; const style = getComputedStyle(it);"
                        " if (it === document.body) return ''; return (style.outlineStyle === 'none' ? 'unseen ' : '')"
                        " + (it.id || it.textContent.trim().slice(0, 40)); }"
                    )
                )
            self.assertEqual(reached[:2], ["Skip to the services", "pause"])
            self.assertEqual([name for name in reached if name.startswith("unseen")], [])
            for name in ("filter", "Service", "calls/s", "dead letters", self.adder, "Worker", "version"):
                self.assertIn(name, reached)

    def test_the_link_to_the_services_leaves_the_page_as_it_is(self) -> None:
        """It moves the focus. The service that is shown, and a pause, stay."""
        with self.page(f"{self.address_of_page}#service={self.adder}") as page:
            expect(page.locator("#methods tbody tr")).to_have_count(2)
            page.get_by_role("button", name="Pause").click()
            page.get_by_role("link", name="Skip to the services").focus()
            page.keyboard.press("Enter")
            expect(page.locator("#services")).to_be_focused()
            expect(page.locator("#focus-title")).to_have_text(self.adder)
            expect(page.locator("#status")).to_have_text("paused")

    def test_charts_can_be_read_by_keyboard(self) -> None:
        """The arrow keys show the values of a moment, as the mouse does."""
        with self.page(self.address_of_page) as page:
            expect(page.locator("#rate-text")).to_have_text(re.compile(r"^calls/s: [1-9]"))
            page.locator("#rate-chart").focus()
            page.keyboard.press("ArrowLeft")
            expect(page.locator("#rate-text")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d, calls/s: "))
            expect(page.locator("#rate-chart .u-legend")).to_contain_text("calls/s")
            page.keyboard.press("Tab")
            expect(page.locator("#rate-text")).to_have_text(re.compile(r"^calls/s: "))

    def test_programs_for_the_blind_can_read_it(self) -> None:
        """No violation that axe-core knows, in both color schemes, of WCAG 2.2 at level AA."""
        axe = pytest.importorskip("axe_playwright_python.base", reason="axe-playwright-python is not installed")
        rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
        for scheme in ("light", "dark"):
            for target in ("", f"#service={self.adder}"):
                with self.page(f"{self.address_of_page}{target}", color_scheme=scheme) as page:
                    expect(page.locator("#workers-table tbody tr")).to_have_count(2)
                    page.evaluate(Path(axe.AXE_FILE_PATH).read_text())
                    found = page.evaluate("rules => axe.run(document, rules)", rules)
                    problems = [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]]
                    self.assertEqual(problems, [])

    def test_comes_back_after_the_dashboard_was_away(self) -> None:
        """Also when it is another process, on the same port."""
        with self.page(self.address_of_page, errors_allowed=True) as page:
            expect(page.locator("#status")).to_have_text("live")
            self.program.send(signal.SIGTERM)
            self.assertEqual(self.program.wait(), 0)
            expect(page.locator("#status")).to_contain_text("not reachable")
            port = int(self.address_of_page.rstrip("/").rpartition(":")[2])
            self.address(self.dashboard(url=self.host, port=port))
            expect(page.locator("#status")).to_have_text("live")
            expect(page.locator("#services-table tbody tr")).to_have_count(3)


class ManyServicesTests(BrowserCase):
    """200 services in two workers."""

    COUNT = 200

    def test_two_hundred_services(self) -> None:
        """Can be filtered and sorted, and come as one event a second."""
        virtual_host = self.virtual_host()
        names = [f"{('Billing', 'Orders', 'Search', 'Users')[index % 4]}{index:03}" for index in range(self.COUNT)]
        for _ in range(2):
            self.fleet(*names, url=virtual_host)
        address = self.address(self.dashboard(url=virtual_host))
        with self.page(address, viewport={"width": 1280, "height": 900}, color_scheme="light") as page:
            rows = page.locator("#services-table tbody tr")
            expect(rows).to_have_count(self.COUNT)
            self.assertEqual(services(page), sorted(names))
            expect(page.locator("#services-count")).to_have_text("200 services")
            expect(cell(page, "Orders001", 1)).to_have_text(re.compile(r"^(0\.|[1-9])"))
            self.picture(page, "many", whole=False)
            self.check_filter(page)
            self.check_sort(page)
            self.check_rate_of_events(page)

    def check_filter(self, page: Page) -> None:
        """Names that have the text, in any case. It stays while the numbers change."""
        page.get_by_label("Filter").fill("orders")
        expect(page.locator("#services-table tbody tr")).to_have_count(50)
        expect(page.locator("#services-count")).to_have_text("50 of 200 services")
        page.get_by_label("Filter").fill("no such")
        expect(page.locator("#services-empty")).to_have_text("No service has this in its name.")
        page.get_by_label("Filter").fill("")
        expect(page.locator("#services-table tbody tr")).to_have_count(self.COUNT)

    def check_sort(self, page: Page) -> None:
        """By each column; the head says which one it is. The focus stays on a row that moves."""
        head = page.locator("#services-table thead th")
        page.get_by_role("button", name="Service", exact=True).click()
        expect(head.nth(0)).to_have_attribute("aria-sort", "descending")
        self.assertEqual(services(page), sorted(services(page), reverse=True))
        page.get_by_role("button", name="calls/s", exact=True).first.focus()
        page.keyboard.press("Enter")
        expect(head.nth(1)).to_have_attribute("aria-sort", "descending")
        self.assertIsNone(head.nth(0).get_attribute("aria-sort"))
        rates = [float(text) for text in page.locator("#services-table tbody td:nth-child(2)").all_inner_texts()]
        self.assertEqual(rates, sorted(rates, reverse=True))
        page.locator("#services-table tbody button").last.focus()
        name = page.evaluate("document.activeElement.textContent")  # rows move while they are looked for
        page.wait_for_timeout(3500)
        self.assertEqual(page.evaluate("document.activeElement.textContent"), name)

    def check_rate_of_events(self, page: Page) -> None:
        """At most one delta a second, of the rows that have changed."""
        events = (
            "count => new Promise((resolve) => { const sizes = []; const begun = performance.now();"
            " const source = new EventSource('events'); source.addEventListener('delta', (event) => {"
            " sizes.push(event.data.length); if (sizes.length < count) return;"
            " source.close(); resolve([sizes, performance.now() - begun]); }); })"
        )
        sizes, milliseconds = page.evaluate(events, 5)
        self.assertGreater(milliseconds, 3000)  # a look at the workers takes 0.8 s or more
        self.assertLess(max(sizes), 80_000)


class BrokerAwayTests(BrowserCase):
    """A broker that is killed."""

    own_broker = True

    def test_says_since_when_the_broker_is_away(self) -> None:
        """And is live again when it is back."""
        service = self.unique("Adder")
        self.fleet(service)
        with self.page(self.address(self.dashboard())) as page:
            expect(cell(page, service, 8)).to_have_text("1")
            self.broker.kill()
            expect(page.locator("#status")).to_have_text(re.compile(r"broker away since \d\d:\d\d:\d\d"))
            expect(page.locator("#reason")).not_to_be_empty()
            expect(page.locator("#problems-section")).to_be_hidden()
            self.picture(page, "away")
            time.sleep(2)
            self.broker.start()
            expect(page.locator("#status")).to_have_text("live", timeout=60_000)
            expect(cell(page, service, 1)).to_have_text(re.compile(r"^[1-9]"), timeout=60_000)

    def test_says_that_the_broker_is_blocked(self) -> None:
        """It takes no questions then: a page that goes on being live would be wrong."""
        service = self.unique("Adder")
        self.fleet(service)
        with self.page(self.address(self.dashboard())) as page:
            expect(cell(page, service, 8)).to_have_text("1")
            self.broker.set_memory_alarm(True)
            try:
                # The look at the queues that the alarm has interrupted ends after ten seconds.
                expect(page.locator("#status")).to_have_text("no answers", timeout=60_000)
                expect(page.locator("#reason")).to_contain_text("the broker is blocked")
            finally:
                self.broker.set_memory_alarm(False)
            expect(page.locator("#status")).to_have_text("live")

    def test_begins_without_a_broker(self) -> None:
        """The page opens, and names the problem."""
        self.broker.stop()
        try:
            with self.page(self.address(self.dashboard())) as page:
                expect(page.locator("#status")).to_contain_text("connecting to the broker")
        finally:
            self.broker.start()


class TokenTests(BrowserCase):
    """A page that needs a token."""

    def test_the_form_lets_in_who_has_the_token(self) -> None:
        """The address does not keep it. A token that was not given is printed once."""
        program = self.dashboard("--interface", "0.0.0.0")  # noqa: S104  # this test needs it
        token = program.wait_for_line("the token of this page").split()[-1]
        address = self.address(program).replace("0.0.0.0", "127.0.0.1")  # noqa: S104
        self.assertEqual(program.output().count(token), 1)
        with self.page(address, errors_allowed=True) as page:  # the browser reports the status 401 as an error
            self.picture(page, "token")
            page.get_by_label("Token").fill("wrong")
            page.get_by_role("button", name="Open the page").click()
            expect(page.get_by_label("Token")).to_have_value("")
            page.get_by_label("Token").fill(token)
            page.keyboard.press("Enter")
            expect(page.locator("#status")).to_have_text("live")
            self.assertEqual(page.url, address)
            page.reload()
            expect(page.locator("#status")).to_have_text("live")
        with self.page(f"{address}?token={token}") as page:
            expect(page.locator("#status")).to_have_text("live")
            self.assertEqual(page.url, address)
