"""The viewers that may see the page."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rpc.dashboard.access import Access, Credentials, Verdict, is_loopback, is_own_host, new_token

TOKEN = "a token of more than 16"


class HostTests(SynchronousTestCase):
    """Names of this machine, as it is seen from itself."""

    def test_names_of_this_machine(self) -> None:
        """With any port, which may be that of a tunnel."""
        for host in ("localhost", "localhost:8088", "LocalHost:1", "127.0.0.1", "127.0.0.1:8088", "[::1]", "[::1]:80"):
            self.assertTrue(is_own_host(host), host)

    def test_other_names(self) -> None:
        """That of another site, which has its name resolved to 127.0.0.1."""
        others = ("evil.example", "evil.example:8088", "localhost.evil.example", "10.0.0.1", "", ":", "::1", "[::2]:80")
        for host in (
            *others,
            "localhost@evil.example",
            "evil@localhost",
            "[localhost]",
            "127.0.0.1:80:80",
            "127.0.0.1:x",
        ):
            self.assertFalse(is_own_host(host), host)

    def test_interfaces(self) -> None:
        """Which only this machine reaches."""
        for interface in ("127.0.0.1", "127.1.2.3", "::1", "localhost"):
            self.assertTrue(is_loopback(interface), interface)
        for interface in ("0.0.0.0", "::", "", "192.0.2.1", "example.org"):  # noqa: S104  # not listened on
            self.assertFalse(is_loopback(interface), interface)


class AccessTests(SynchronousTestCase):
    """Verdicts."""

    def test_without_a_token_only_the_host_counts(self) -> None:
        """On loopback."""
        access = Access(None)
        for host, verdict in (("localhost:1", Verdict.ALLOWED), ("evil.example", Verdict.FOREIGN_HOST)):
            self.assertIs(access.verdict(Credentials(host)), verdict)
        self.assertFalse(access.is_token(""))

    def test_with_a_token_it_must_be_shown(self) -> None:
        """As a bearer token, or as the cookie of this process."""
        access = Access(TOKEN)
        cases = {
            Credentials("any"): Verdict.NO_TOKEN,
            Credentials("localhost"): Verdict.NO_TOKEN,
            Credentials("any", f"Bearer {TOKEN}"): Verdict.ALLOWED,
            Credentials("any", f"bearer {TOKEN}"): Verdict.ALLOWED,
            Credentials("any", f"Bearer {TOKEN}x"): Verdict.NO_TOKEN,
            Credentials("any", f"Basic {TOKEN}"): Verdict.NO_TOKEN,
            Credentials("any", "Bearer "): Verdict.NO_TOKEN,
            Credentials("any", "Bearer \udcff\xff"): Verdict.NO_TOKEN,
            Credentials("any", cookie=access.session): Verdict.ALLOWED,
            Credentials("any", cookie=TOKEN): Verdict.NO_TOKEN,
            Credentials("any", cookie=Access(TOKEN).session): Verdict.NO_TOKEN,
        }
        for shown, verdict in cases.items():
            self.assertIs(access.verdict(shown), verdict, shown)

    def test_new_tokens_differ(self) -> None:
        """And are long."""
        tokens = {new_token() for _ in range(10)}
        self.assertEqual(len(tokens), 10)
        self.assertTrue(all(len(token) > 40 for token in tokens))
