"""The definitions of AMQP that an option ``spec`` can name: ours, and files of users."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from txamqp.spec import Method

from rpc.amqp.codec.spec import SHIPPED, Definition, load_definition, load_spec
from rpc.errors import ConfigurationError

OURS = load_definition(None)
ONLY_IN_0_8 = {"connection.redirect", "channel.alert"}
NOT_IN_0_8 = {
    *("connection.blocked", "connection.unblocked", "connection.update-secret", "connection.update-secret-ok"),
    *("exchange.bind", "exchange.bind-ok", "exchange.unbind", "exchange.unbind-ok"),
    *("basic.nack", "confirm.select", "confirm.select-ok"),
}
OTHERWISE_IN_0_8 = {"connection.close", "connection.close-ok", "channel.open-ok", "basic.consume"}
ACCESS = {"access.request", "access.request-ok"}


def layouts(definition: Definition) -> dict[str, tuple[Any, ...]]:
    """The fields of each method on the wire, by its name."""
    methods: list[Method] = [method for klass in definition.spec.classes for method in klass.methods]
    return {
        f"{each.klass.name}.{each.name}": (
            each.klass.id,
            each.id,
            each.content,
            [answer.name for answer in each.responses],
            [field.type for field in each.fields],
        )
        for each in methods
    }


class ShippedTests(SynchronousTestCase):
    """Our definitions."""

    def test_every_version_can_be_used(self) -> None:
        """Names and protocol headers are those of the standards; each is read once."""
        headers = {"0-9-1": b"AMQP\0\0\x09\x01", "0-9": b"AMQP\x01\x01\0\x09", "0-8": b"AMQP\x01\x01\x08\0"}
        for version in SHIPPED:
            definition = load_definition(version)
            self.assertEqual((definition.name, definition.header), (f"AMQP {version}", headers[version]))
            self.assertIsNone(definition.problem())
            self.assertIs(load_definition(version), definition)
        self.assertEqual((OURS.name, OURS.spec), ("AMQP 0-9-1", load_spec()))

    def test_0_9_has_the_layouts_of_0_9_1(self) -> None:
        """RabbitMQ takes one for the other (rabbit_reader: version negotiation). Access tickets are 0-9's own."""
        nine = layouts(load_definition("0-9"))
        self.assertEqual({name: nine[name] for name in nine if name not in ACCESS}, layouts(OURS))
        self.assertEqual((load_definition("0-9").missing, OURS.missing), ("", ""))

    def test_0_8_differs_in_these_methods_alone(self) -> None:
        """As RabbitMQ 3.10 defines it (its module rabbit_framing_amqp_0_8)."""
        eight, ours = layouts(load_definition("0-8")), layouts(OURS)
        self.assertEqual(set(ours) - set(eight), NOT_IN_0_8)
        self.assertEqual(set(eight) - set(ours), ONLY_IN_0_8 | ACCESS)
        self.assertEqual({name for name in eight if name in ours and eight[name] != ours[name]}, OTHERWISE_IN_0_8)
        self.assertEqual([eight[f"connection.{name}"][:2] for name in ("close", "close-ok")], [(10, 60), (10, 61)])
        self.assertEqual(eight["channel.open-ok"][4], [])
        self.assertEqual(eight["basic.consume"][4], ours["basic.consume"][4][:-1])

    def test_0_8_lacks_the_extensions(self) -> None:
        """In words, for the log."""
        eight = load_definition("0-8")
        self.assertEqual(eight.missing, "publisher confirms, nacks, notices of alarms")
        self.assertEqual((eight.has_confirms, OURS.has_confirms), (False, True))

    def test_all_have_the_properties_of_messages(self) -> None:
        """They are packed without the definition, so they must be the same in the same order."""
        for version in SHIPPED:
            properties = load_definition(version).spec.classes.byname["basic"].fields
            own = OURS.spec.classes.byname["basic"].fields
            self.assertEqual([(it.name, it.type) for it in properties], [(it.name, it.type) for it in own])


class FileTests(SynchronousTestCase):
    """Files of users."""

    def definition(self, *changes: tuple[str, str], of: str = "0-9-1") -> Path:
        """Write one of our files with changes."""
        text = resources.files("rpc.amqp.codec.spec").joinpath(SHIPPED[of]).read_text()
        for old, new in changes:
            self.assertIn(old, text)
            text = text.replace(old, new)
        path = Path(self.mktemp())
        path.write_text(text)
        return path

    def refusal(self, spec: Any) -> str:
        """Return why a file is refused, and check that the error names it and the remedy."""
        error = str(self.assertRaises(ConfigurationError, load_definition, spec))
        self.assertIn(f"spec={spec!r}: ", error)
        self.assertIn("give the path of an XML file in txAMQP's format, or '0-9-1', '0-9', '0-8'", error)
        return error

    def test_takes_a_path_as_text_or_path(self) -> None:
        """Each version is known by major, minor and revision."""
        for version in SHIPPED:
            path = self.definition(of=version)
            for spec in (path, str(path)):
                read = load_definition(spec)
                self.assertEqual((read.name, layouts(read)), (f"AMQP {version}", layouts(load_definition(version))))

    def test_a_file_may_lack_the_extensions(self) -> None:
        """The standard's own file has none of them."""
        read = load_definition(
            self.definition(('class name="confirm"', 'class name="other"'), ('name="blocked"', 'name="other"'))
        )
        self.assertEqual((read.missing, read.has_confirms), ("publisher confirms, notices of alarms", False))

    def test_refuses_what_is_no_definition(self) -> None:
        """Missing files, folders, other values, files that are no XML, and other versions."""
        other = Path(self.mktemp())
        other.write_text("no XML")
        self.assertIn("FileNotFoundError", self.refusal("/nowhere/amqp.xml"))
        self.assertIn("IsADirectoryError", self.refusal("/"))
        self.assertIn("TypeError", self.refusal(5))
        self.assertIn("ParseError", self.refusal(other))
        self.assertIn("no definition", self.refusal("0-7"))
        ten = self.definition(('minor="9" revision="1"', 'minor="10"'))
        self.assertIn("it defines AMQP 0-10-0, which is none of AMQP 0-9-1, AMQP 0-9, AMQP 0-8", self.refusal(ten))
        self.assertIn("no definition", self.refusal(self.definition(('handler="channel"', ""))))

    def test_refuses_a_definition_without_what_a_connection_needs(self) -> None:
        """A method that is missing, or has another number than our own data plane uses."""
        self.assertIn("it lacks queue.bind", self.refusal(self.definition(('name="bind" s', 'name="other" s'))))
        moved = self.definition(('name="publish" content="1" index="40"', 'name="publish" content="1" index="41"'))
        self.assertIn("basic.publish must be class 60, method 40", self.refusal(moved))
