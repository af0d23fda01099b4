"""Broker URIs: their values, refusals, and no password in any text."""

from __future__ import annotations

import string
import traceback
from urllib.parse import quote

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rpc.errors import ConfigurationError, InvalidURI
from rpc.uri import BrokerURI, hide_logins, host_and_port, parse

any_characters = st.characters(codec=None, exclude_categories=())  # lone surrogates too


class ParseTests(SynchronousTestCase):
    """The values of a URI."""

    def test_gives_defaults_to_a_host_alone(self) -> None:
        """A host alone gives guest, the virtual host / and the defaults."""
        uri = parse("amqp://localhost")
        self.assertEqual(uri, BrokerURI(hosts=(("localhost", 5672),)))
        self.assertEqual((uri.username, uri.password, uri.vhost, uri.tls), ("guest", "guest", "/", False))
        self.assertEqual((uri.heartbeat, uri.connection_timeout, uri.auth_mechanism), (20, 10.0, "PLAIN"))
        self.assertEqual((uri.channel_max, uri.frame_max, uri.verify), (2047, 131072, True))

    def test_an_ipv6_address_is_told_from_its_port(self) -> None:
        """In the texts of logs and errors, as in a URI."""
        for host, text in (("h", "h:5672"), ("192.0.2.1", "192.0.2.1:5672"), ("2001:db8::1", "[2001:db8::1]:5672")):
            self.assertEqual(host_and_port(host, 5672), text)
            self.assertEqual(parse(f"amqp://{text}").hosts, ((host, 5672),))

    def test_means_tls_by_amqps(self) -> None:
        """amqps, in any case, means TLS and port 5671."""
        uri = parse("AMQPS://broker.example.org")
        self.assertTrue(uri.tls)
        self.assertEqual(uri.hosts, (("broker.example.org", 5671),))

    def test_decodes_percent_encoding(self) -> None:
        """User, password, virtual host and parameters are decoded; a plus sign stays a plus sign."""
        uri = parse("amqps://us%2Fer:p%40ss%3Aw%C3%B6rd+%25@h/v%2Fh?cacertfile=/a%20b%26c+d.pem")
        self.assertEqual((uri.username, uri.password, uri.vhost), ("us/er", "p@ss:wörd+%", "v/h"))
        self.assertEqual(uri.cacertfile, "/a b&c+d.pem")

    def test_gives_a_user_alone_an_empty_password(self) -> None:
        """The password is not guest's; a colon in a password needs no encoding."""
        self.assertEqual(parse("amqp://anna@h").password, "")
        self.assertEqual(parse("amqp://anna:@h").password, "")
        self.assertEqual(parse("amqp://anna:a:b@h").password, "a:b")

    def test_reads_the_virtual_host(self) -> None:
        """No path and an empty path are /, as in most clients; else it is the decoded path."""
        for text, vhost in (
            ("", "/"),
            ("/", "/"),
            ("/%2F", "/"),
            ("/%2f", "/"),
            ("/rpc", "rpc"),
            ("?heartbeat=1", "/"),
        ):
            self.assertEqual(parse("amqp://h" + text).vhost, vhost, text)

    def test_reads_several_hosts(self) -> None:
        """Hosts are kept in order, each with its own port or the scheme's. IPv6 is in brackets."""
        uri = parse("amqp://u:p@h1,h2:5673,[::1]:5674,[2001:db8::2],192.0.2.1/vhost")
        self.assertEqual(
            uri.hosts,
            (("h1", 5672), ("h2", 5673), ("::1", 5674), ("2001:db8::2", 5672), ("192.0.2.1", 5672)),
        )
        self.assertEqual(parse("amqp://[fe80::1%25eth0]").hosts, (("fe80::1%eth0", 5672),))

    def test_reads_every_parameter(self) -> None:
        """In RabbitMQ's units; timeouts become seconds."""
        uri = parse(
            "amqps://h?heartbeat=0&connection_timeout=1500&channel_max=0&frame_max=4096&send_buffer_max=0&auth_mechanism=EXTERNAL"
            "&cacertfile=/ca&certfile=/cert&keyfile=/key&keyfile_password=env:P&verify=verify_none&server_name_indication=name"
            "&tls=required&tls_minimum=1.2&ciphers=HIGH:!SHA"
        )
        self.assertEqual(
            uri,
            BrokerURI(
                hosts=(("h", 5671),),
                tls=True,
                heartbeat=0,
                connection_timeout=1.5,
                channel_max=0,
                frame_max=4096,
                send_buffer_max=0,
                auth_mechanism="EXTERNAL",
                cacertfile="/ca",
                certfile="/cert",
                keyfile="/key",
                keyfile_password="env:P",
                verify=False,
                server_name_indication="name",
                ciphers="HIGH:!SHA",
            ),
        )

    def test_reads_the_place_of_the_password(self) -> None:
        """The password is empty until it is read from there."""
        uri = parse("amqp://anna@h?password_file=/run/secrets/pass%20word")
        self.assertEqual((uri.username, uri.password, uri.password_file), ("anna", "", "/run/secrets/pass word"))
        uri = parse("amqp://h?password_env=PASSWORD")
        self.assertEqual((uri.username, uri.password, uri.password_env), ("guest", "", "PASSWORD"))

    def test_does_not_change(self) -> None:
        """A parsed URI does not change."""
        self.assertRaises(attrs.exceptions.FrozenInstanceError, setattr, parse("amqp://h"), "heartbeat", 1)

    @given(st.text(min_size=1), st.text(), st.text(max_size=60).filter(bool))
    def test_reads_back_any_quoted_text(self, username: str, password: str, vhost: str) -> None:
        """Any user, password and virtual host can be written, percent-encoded."""
        parts = [quote(part, safe="") for part in (username, password, vhost)]
        uri = parse("amqp://{}:{}@h/{}".format(*parts))
        self.assertEqual((uri.username, uri.password, uri.vhost), (username, password, vhost))


class RefusalTests(SynchronousTestCase):
    """Refused URIs, and the messages."""

    def test_names_each_mistake(self) -> None:
        """Each mistake has a message with the cause or a correct form."""
        for text, told in (
            ("", "amqp://"),
            ("localhost", "amqp://"),
            ("localhost:5672", "amqp://"),
            ("http://localhost", "amqp://"),
            ("amqp:localhost", "amqp://"),
            ("amqp://", "host is missing"),
            ("amqp:///vhost", "host is missing"),
            ("amqp://u:p@", "host is missing"),
            ("amqp://u:p@:5672", "host is missing"),
            ("amqp://h1,,h2", "host is missing"),
            ("amqp://h1,", "host is missing"),
            ("amqp://h:", "65535"),
            ("amqp://h:0", "65535"),
            ("amqp://h:65536", "65535"),
            ("amqp://h:port", "65535"),
            ("amqp://h:+1", "65535"),
            ("amqp://h:٥٦٧٢", "65535"),
            ("amqp://::1", "brackets"),
            ("amqp://[::1", "brackets"),
            ("amqp://[::1]5672", "brackets"),
            ("amqp://[localhost]", "brackets"),
            ("amqp://a%2Fb", "no host name"),
            ("amqp://h/a/b", "%2F"),
            ("amqp://h//", "%2F"),
            ("amqp://h/%zz", "%25"),
            ("amqp://h/%ff", "UTF-8"),
            ("amqp://h/" + "x" * 256, "255"),
            ("amqp://h/a b", "%20"),
            ("amqp://h\n", "control"),
            ("amqp://h/\udcff", "UTF-8"),
            ("amqp://h%3A1", "no host name has"),
            ("amqp://h#x", "%23"),
            ("amqp://h?hearbeat=5", "unknown parameter 'hearbeat'"),
            ("amqp://h?", None),
            ("amqp://h?&", "an unknown parameter"),
            ("amqp://h?nothing_like_it=1", "an unknown parameter: write one of heartbeat, "),
            ("amqp://h?heartbeat", "heartbeat="),
            ("amqp://h?heartbeat=", "0 to 65535"),
            ("amqp://h?heartbeat=-1", "0 to 65535"),
            ("amqp://h?heartbeat=65536", "0 to 65535"),
            ("amqp://h?heartbeat=1.5", "0 to 65535"),
            ("amqp://h?heartbeat=5&heartbeat=6", "twice"),
            ("amqp://h?connection_timeout=0", "from 1"),
            ("amqp://h?channel_max=65536", "0 to 65535"),
            ("amqp://h?frame_max=4095", "0 or a number from 4096"),
            ("amqp://h?frame_max=0", None),
            ("amqp://h?auth_mechanism=amqplain", "plain, external"),
            ("amqps://h?verify=yes", "verify_peer, verify_none"),
            ("amqps://h?cacertfile=", "no value"),
            ("amqps://h?keyfile=/k", "certfile"),
            ("amqps://h?keyfile_password=env:NAME", "certfile"),
            ("amqps://h?certfile=/c&keyfile_password=secret", "env:NAME or file:PATH"),
            ("amqps://h?certfile=/c&keyfile_password=env:", "env:NAME or file:PATH"),
            ("amqp://h?verify=verify_peer", "needs the scheme amqps"),
            ("amqp://h?tls_minimum=1.2", "needs the scheme amqps"),
            ("amqp://h?ciphers=HIGH", "needs the scheme amqps"),
            ("amqp://h?tls=required", "tls=required refuses the scheme amqp"),
            ("amqps://h?tls=maybe", "tls=maybe is not one of required"),
            ("amqps://h?tls=required", None),
            ("amqps://h?tls_minimum=1.1", "1.2, 1.3"),
            ("amqps://h?ciphers=HIGH&tls_minimum=1.3", "excludes"),
            ("amqp://h?password_file=", "no value"),
            ("amqp://u:secret@h?password_file=/p", "two places"),
            ("amqp://u:@h?password_env=P", "two places"),
            ("amqp://u@h?password_env=P&password_file=/p", "two places"),
            ("amqp://u@h?password_env=P&auth_mechanism=external", "never read"),
            ("amqp://u@h?password_env=P", None),
        ):
            if told is None:
                parse(text)
                continue
            error = self.assertRaises(InvalidURI, parse, text)
            self.assertIn(told, str(error), text)
            self.assertNotIn("secret", str(error))
            self.assertIsInstance(error, ConfigurationError)

    @given(
        st.text(any_characters)
        | st.text(any_characters).map("amqp://".__add__)
        | st.text("ah:/@?#[],%=&1é").map("amqp://".__add__)
    )
    def test_parses_any_text_or_raises_invalid_uri(self, text: str) -> None:
        """Any text gives a BrokerURI or InvalidURI."""
        try:
            uri = parse(text)
        except InvalidURI:
            return
        self.assertTrue(uri.hosts)


class PrintTests(SynchronousTestCase):
    """A URI as text."""

    def test_reads_the_same_when_printed(self) -> None:
        """With any characters in the host: no character of a peer's or a user's is printed as it is."""
        for host in ("h%25", "%7Fh", "b%C3%BCcher.example", "h%E2%80%AEx", "[fe80::1%25eth0]", "[::1]"):
            uri = parse(f"amqp://u%25:p@{host}:7/v%25")
            self.assertEqual(parse(str(uri)), attrs.evolve(uri, password="***"))
            self.assertTrue(str(uri).isascii() and str(uri).isprintable())


class PasswordTests(SynchronousTestCase):
    """The password is shown nowhere."""

    def test_prints_without_the_password(self) -> None:
        """All else is printed, and str() gives a URI that can be parsed."""
        uri = parse("amqps://us%40er:secret@h1,[::1]:7/v%2Fh")
        self.assertEqual(str(uri), "amqps://us%40er:***@h1:5671,[::1]:7/v%2Fh")
        self.assertNotIn("secret", repr(uri))
        self.assertIn("***", repr(uri))
        self.assertEqual(attrs.evolve(uri, password="***"), parse(str(uri)))

    def test_never_shows_a_password_that_is_not_encoded(self) -> None:
        """With any character in a raw password, neither the error nor the parsed value's text shows any of it."""
        for character in string.printable:
            for form in (
                "amqp://user:{}@host/vhost",
                "amqp://user:{}@h1,h2:5673/vhost?heartbeat=5",
                "amqp://user:7{}@host",
                "amqp://user:{}",
                "amqp://user:7?{}",
                "amqp://user:7?x&{}",
                "amqps://user:{}?verify=verify_none",
                "amqp:/user:{}@host",
                "{}@host",
            ):
                secret = f"Sesame{character}Sesame"
                try:
                    uri = parse(form.format(secret))
                except InvalidURI as error:
                    shown = str(error)
                    self.assertIsNone(error.__context__)
                else:
                    if (
                        form.startswith(("amqp://user:{}", "amqps://user:{}"))
                        and "@host" not in form
                        and character == "@"
                    ):
                        continue  # a valid URI, whose host is behind the @
                    shown = f"{uri} {uri!r}"
                    self.assertEqual(uri.password.replace("7", "", 1).count("Sesame"), 2, secret)
                self.assertNotIn("Sesame", shown, (form, character))

    def test_shows_no_part_of_a_url_in_a_traceback_with_variables(self) -> None:
        """None of this package's functions has one, once the error is raised."""
        for text in (
            "amqp://user:Sesame",
            "amqp://u:Sesame%@h",
            "amqp://u:Sesame@h:x",
            "Sesame://h",
            "amqp://u:Ses@me@h",
        ):
            error = self.assertRaises(InvalidURI, parse, text)
            frames = traceback.TracebackException.from_exception(error, capture_locals=True).stack
            ours = [frame for frame in frames if "/rpc/uri" in frame.filename]
            self.assertEqual([frame.name for frame in ours], ["parse"])
            self.assertNotIn("Ses", str(ours[0].locals))

    def test_hides_the_login_of_a_url_in_other_words(self) -> None:
        """A URL without an @ may be user and password alone."""
        for word, hidden in (
            ("amqp://user:secret@host/v", "amqp://***@host/v"),
            ("AMQPS://user:se@cret@host", "AMQPS://***@host"),
            ("--broker=amqp://user:secret@h", "--broker=amqp://***@h"),
            ("amqp://user:secret", "amqp://***"),
            ("No such command 'amqp://u:pa\\\\s' \"t@h/x'.", "No such command 'amqp://***@h/x'."),
            ("amqp://u:p w", "amqp://***"),
            ("services.calculator:service", "services.calculator:service"),
        ):
            self.assertEqual(hide_logins(word), hidden)

    def test_hides_a_login_of_several_lines(self) -> None:
        """A password from a file may have a line end, also at its end; without an @, the rest of the text is hidden."""
        self.assertEqual(hide_logins("word amqp://user:pass\nword\n@host\nrest"), "word amqp://***@host\nrest")
        self.assertEqual(hide_logins("word amqp://user:pass\nword\n"), "word amqp://***")

    def test_hides_the_login_of_a_misspelt_scheme(self) -> None:
        """Then the word is no broker's URL, and an error quotes it."""
        for scheme in ("ampq", "xamqps", "http", "AMQP+ssl", "1amqp"):
            self.assertEqual(hide_logins(f"word {scheme}://user:secret@host"), f"word {scheme}://***@host")
