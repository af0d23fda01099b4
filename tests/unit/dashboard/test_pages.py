"""The pages over HTTP."""

from __future__ import annotations

import re
from importlib import resources
from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from rpc.dashboard.pages import FILES, FORM_SIZE, HEADERS
from tests.unit.dashboard.site import Browser
from tests.unit.logs import log_lines

TOKEN = "a token of more than 16"


class FilesTests(SynchronousTestCase):
    """Files of the page."""

    def setUp(self) -> None:
        self.browser = Browser()

    def test_the_page_and_all_that_it_loads(self) -> None:
        """Each with its type; the browser takes no other for a script."""
        page = self.browser.get("/")
        self.assertEqual((page.status, page.headers["content-type"]), (200, "text/html; charset=utf-8"))
        loaded = re.findall(rb'(?:href|src)="([^"#]+)"', page.body)
        self.assertGreaterEqual(len(loaded), 5)
        scripts = [b"static/" + name.encode() for name in FILES if name.endswith(".js") and "/" not in name]
        for path in (*loaded, *scripts):
            answer = self.browser.get(f"/{path.decode()}")
            self.assertEqual(answer.status, 200, path)
            kind = {b"css": "text/css", b"js": "text/javascript", b"svg": "image/svg+xml"}[path.rpartition(b".")[2]]
            self.assertTrue(answer.headers["content-type"].startswith(kind), path)

    def test_head_is_answered_without_a_line_in_the_log(self) -> None:
        """Of the page, of a file, and of the form that asks for the token."""
        lines = log_lines(self)
        for browser, path in product((self.browser, Browser(TOKEN)), ("/", "/static/style.css", "/?token=wrong")):
            head, whole = browser.get(path, method="HEAD"), browser.get(path)
            self.assertEqual((head.status, head.body), (whole.status, b""), path)
            self.assertEqual(head.headers["content-length"], str(len(whole.body)), path)
        self.assertEqual(lines, [])

    def test_scripts_import_only_files_that_are_served(self) -> None:
        """A module that is missing would leave the page empty."""
        folder = resources.files("rpc.dashboard").joinpath("static")
        for name in FILES:
            if name.endswith(".js") and "/" not in name:
                for imported in re.findall(r'from "\./([^"]+)"', folder.joinpath(name).read_text()):
                    self.assertIn(imported, FILES)

    def test_nothing_is_loaded_from_elsewhere(self) -> None:
        """No address of another site is in our files, and no HTML is made of text in scripts."""
        folder = resources.files("rpc.dashboard").joinpath("static")
        for name in (*FILES, "index.html", "login.html", "foreign.html"):
            if name.startswith("uplot/"):
                continue
            text = folder.joinpath(name).read_text().replace("http://www.w3.org/2000/svg", "")
            self.assertNotRegex(text, "https?:|//[a-z]+\\.", name)
            self.assertNotRegex(text, r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", name)
            self.assertNotRegex(text, r"<style|\sstyle=|\son[a-z]+=|<script>", name)

    def test_the_folder_of_the_files_is_no_page(self) -> None:
        """No token is needed to ask for it."""
        for method, name in product(("GET", "HEAD"), ("/static", "/static/")):
            self.assertEqual(self.browser.get(name, method=method).status, 404, (method, name))

    def test_every_answer_has_the_headers(self) -> None:
        """Also errors."""
        for path, status in (("/", 200), ("/nope", 404), ("/static/", 404), ("/static/../index.html", 404)):
            answer = self.browser.get(path)
            self.assertEqual(answer.status, status, path)
            for name, value in HEADERS.items():
                self.assertEqual(answer.headers[name.decode()], value.decode(), path)
        self.assertNotIn("unsafe", HEADERS[b"content-security-policy"].decode())

    def test_a_file_that_has_not_changed_is_not_sent_again(self) -> None:
        """By its tag."""
        tag = self.browser.get("/static/main.js").headers["etag"]
        again = self.browser.get("/static/main.js", f"If-None-Match: {tag}")
        self.assertEqual((again.status, again.body), (304, b""))

    def test_pages_can_only_be_read(self) -> None:
        """Nothing is changed by a request."""
        for path in ("/", "/events", "/static/main.js"):
            for method in ("POST", "PUT", "DELETE"):
                self.assertEqual(self.browser.get(path, method=method).status, 405, path)

    def test_another_site_opens_no_stream(self) -> None:
        """In the user's browser, whose header names the kind of the asking site."""
        for site in ("cross-site", "same-site"):
            self.assertEqual(self.browser.get("/events", f"Sec-Fetch-Site: {site}").status, 403)
        transport, _ = self.browser.open("/events", "Sec-Fetch-Site: same-origin")
        self.assertTrue(transport.value().startswith(b"HTTP/1.1 200 "))

    def test_the_host_of_another_site_gets_nothing(self) -> None:
        """DNS rebinding: the name of that site leads to this machine."""
        for path in ("/", "/events", "/static/main.js", "/nope/nope"):
            answer = self.browser.get(path, host="evil.example:8088")
            self.assertEqual(answer.status, 403, path)
            self.assertIn(b"not the dashboard's own", answer.body)
        self.assertEqual(self.browser.source.looks, 0)


class TokenTests(SynchronousTestCase):
    """A page with a token."""

    def setUp(self) -> None:
        self.browser = Browser(TOKEN)

    def enter(self, path: str = "/login", body: str = "token=a+token+of+more+than+16", **options: str) -> str:
        """Show the token; return the cookie's name and value."""
        answer = self.browser.get(path, method="POST" if body else "GET", body=body, host="dash.example", **options)
        self.assertEqual((answer.status, answer.headers["location"]), (303, "./"))
        cookie, *attributes = answer.headers["set-cookie"].split("; ")
        self.assertEqual({each.lower() for each in attributes}, {"path=/", "httponly", "samesite=lax"})
        return cookie

    def test_without_the_token_there_is_only_the_form(self) -> None:
        """On every path."""
        for path in ("/", "/events", "/events?service=x", "/nope/x", "/login", "/?token=wrong"):
            answer = self.browser.get(path)
            self.assertEqual((answer.status, answer.headers["www-authenticate"]), (401, "Bearer"), path)
            self.assertIn(b'<form method="post"', answer.body)
            self.assertNotIn("set-cookie", answer.headers)
        self.assertEqual(self.browser.source.looks, 0)
        self.assertEqual(self.browser.wrong, ["127.0.0.1"])

    def test_the_form_has_its_style(self) -> None:
        """The files are those of the package, so they tell nothing."""
        self.assertEqual(self.browser.get("/static/style.css").status, 200)

    def test_a_cookie_stands_for_the_token(self) -> None:
        """After the form, or after a link with the token, which leaves the address."""
        for cookie in (self.enter(), self.enter("/?token=a%20token%20of%20more%20than%2016", body="")):
            self.assertNotIn("token", cookie)
            self.assertEqual(self.browser.get("/", f"Cookie: {cookie}", host="dash.example").status, 200)
            answer = self.browser.get("/?token=a%20token%20of%20more%20than%2016", f"Cookie: {cookie}")
            self.assertEqual((answer.status, answer.headers["location"]), (303, "./"))

    def test_the_cookie_of_another_process_is_none(self) -> None:
        """It ends with the process."""
        cookie = self.enter()
        self.assertEqual(Browser(TOKEN).get("/", f"Cookie: {cookie}").status, 401)

    def test_programs_show_the_token_itself(self) -> None:
        """As a bearer token."""
        self.assertEqual(self.browser.get("/", f"Authorization: Bearer {TOKEN}").status, 200)
        self.assertEqual(self.browser.get("/", "Authorization: Bearer wrong").status, 401)

    def test_a_wrong_token_is_noted(self) -> None:
        """Not the token, only the client."""
        answer = self.browser.get("/login", method="POST", body="token=wrong")
        self.assertEqual((answer.status, self.browser.wrong), (401, ["127.0.0.1"]))
        self.assertIn(b"That was not the token of this page.", answer.body)
        self.assertNotIn(b"That was not", self.browser.get("/login").body)

    def test_of_a_large_form_only_the_beginning_is_read(self) -> None:
        """Twisted would keep all of it in a file."""
        answer = self.browser.get("/login", method="POST", body=f"{'x' * FORM_SIZE}&token={TOKEN.replace(' ', '+')}")
        self.assertEqual(answer.status, 401)
        self.assertEqual(self.browser.wrong, [])

    def test_odd_credentials_are_wrong_ones(self) -> None:
        """Bytes that are no text."""
        for line in (
            "Cookie: \xff=\xff; rpc-dashboard-8088",
            "Authorization: Bearer \xff",
            "Authorization:",
            "Cookie: ;=",
        ):
            self.assertEqual(self.browser.get("/", line).status, 401, line)
        self.assertEqual(self.browser.get("/?token=%ff%fe").status, 401)
