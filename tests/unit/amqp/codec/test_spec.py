"""The protocol definition: complete, equal to the methods of an independent client, and readable by txAMQP's loader."""

from __future__ import annotations

from importlib import resources

import pika.spec
import txamqp.spec
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.codec.spec import SPEC_FILE, load_spec

REPLY_CODES = {
    "reply-success": 200,
    "content-too-large": 311,
    "no-route": 312,
    "no-consumers": 313,
    "connection-forced": 320,
    "invalid-path": 402,
    "access-refused": 403,
    "not-found": 404,
    "resource-locked": 405,
    "precondition-failed": 406,
    "frame-error": 501,
    "syntax-error": 502,
    "command-invalid": 503,
    "channel-error": 504,
    "unexpected-frame": 505,
    "resource-error": 506,
    "not-allowed": 530,
    "not-implemented": 540,
    "internal-error": 541,
}
FRAMES = {
    "frame-method": 1,
    "frame-header": 2,
    "frame-body": 3,
    "frame-heartbeat": 8,
    "frame-min-size": 4096,
    "frame-end": 206,
}


def _method(name: str) -> txamqp.spec.Method:
    return load_spec().parse_method(name)


class SpecTests(SynchronousTestCase):
    """The XML, after it is loaded."""

    def test_is_found_as_package_data(self) -> None:
        """The definition is a resource of its package, so an installed wheel has it."""
        self.assertTrue(resources.files("rpc.amqp.codec.spec").joinpath(SPEC_FILE).is_file())

    def test_is_loaded_once(self) -> None:
        """Every caller gets the same object: methods can be compared by identity."""
        self.assertIs(load_spec(), load_spec())

    def test_is_version_0_9_1(self) -> None:
        """The version is 0-9-1; the loader keeps major and minor, the file keeps the revision."""
        self.assertEqual((load_spec().major, load_spec().minor), (0, 9))
        text = resources.files("rpc.amqp.codec.spec").joinpath(SPEC_FILE).read_text("utf-8")
        self.assertIn('<amqp major="0" minor="9" revision="1"', text)

    def test_has_the_standards_constants(self) -> None:
        """Frame types and reply codes are the standard's, with RabbitMQ's 312."""
        constants = {constant.name: constant.id for constant in load_spec().constants}
        self.assertEqual(constants, {**FRAMES, **REPLY_CODES})

    def test_knows_soft_and_hard_errors(self) -> None:
        """Soft errors close a channel, hard errors the connection."""
        classes = {constant.id: constant.klass for constant in load_spec().constants if constant.id in range(300, 600)}
        soft = {code for code, error_class in classes.items() if error_class == "soft-error"}
        self.assertEqual(soft, {311, 312, 313, 403, 404, 405, 406})
        self.assertEqual(set(classes.values()), {"soft-error", "hard-error"})

    def test_has_the_methods_of_an_independent_client(self) -> None:
        """pika knows the same methods under the same numbers; the four with content are the standard's."""
        theirs = {}
        for number, method_class in pika.spec.methods.items():
            if number >> 16 != 30:  # class access: pika still has it, 0-9-1 has not
                theirs[method_class.NAME.lower().replace(".", "")] = (number >> 16, number & 0xFFFF)
        ours = {}
        for klass in load_spec().classes:
            for method in klass.methods:
                ours[klass.name + method.name.replace("-", "")] = (klass.id, method.id)
        self.assertEqual(ours, theirs)
        content = {f"{k.name}.{m.name}" for k in load_spec().classes for m in k.methods if m.content}
        self.assertEqual(content, {"basic.publish", "basic.return", "basic.deliver", "basic.get-ok"})

    def test_has_rabbitmqs_extensions(self) -> None:
        """RabbitMQ's additions to 0-9-1 are there, so that its methods never close the connection."""
        extensions = {
            "connection.blocked": (10, 60),
            "connection.unblocked": (10, 61),
            "connection.update-secret": (10, 70),
            "connection.update-secret-ok": (10, 71),
            "exchange.bind": (40, 30),
            "exchange.bind-ok": (40, 31),
            "exchange.unbind": (40, 40),
            "exchange.unbind-ok": (40, 51),
            "basic.nack": (60, 120),
            "confirm.select": (85, 10),
            "confirm.select-ok": (85, 11),
        }
        for name, numbers in extensions.items():
            method = _method(name)
            self.assertEqual((method.klass.id, method.id), numbers, name)

    def test_calls_no_wait_nowait(self) -> None:
        """A call that asks for no answer does not hang, because txAMQP finds the field under its own name."""
        waits = {
            f"{klass.name}.{method.name}"
            for klass in load_spec().classes
            for method in klass.methods
            if "nowait" in method.fields.byname
        }
        self.assertEqual(
            waits,
            {
                *("exchange.declare", "exchange.delete", "exchange.bind", "exchange.unbind"),
                *("queue.declare", "queue.bind", "queue.purge", "queue.delete"),
                *("basic.consume", "basic.cancel", "confirm.select"),
            },
        )
        names = {field.name for klass in load_spec().classes for method in klass.methods for field in method.fields}
        self.assertNotIn("no-wait", names)

    def test_knows_the_responses_of_each_method(self) -> None:
        """A method with an -ok has it as its response; get has two; recover-async has none."""
        for klass in load_spec().classes:
            for method in klass.methods:
                expected = [ok for ok in klass.methods if ok.name in (f"{method.name}-ok", f"{method.name}-empty")]
                self.assertEqual(method.responses, expected, f"{klass.name}.{method.name}")
        self.assertTrue(_method("basic.recover-ok").response)
        self.assertEqual(_method("basic.recover-async").responses, [])
        self.assertFalse(_method("basic.ack").response)

    def test_has_an_elementary_type_for_every_field(self) -> None:
        """All domains come down to the types of section 4.2.5."""
        types = {field.type for klass in load_spec().classes for method in klass.methods for field in method.fields}
        types |= {field.type for klass in load_spec().classes for field in klass.fields}
        self.assertEqual(types, set(txamqp.spec.Method.DEFAULTS) - {"content"})

    def test_has_the_properties_in_order(self) -> None:
        """The fourteen properties stand in the order of their flags."""
        basic = load_spec().classes.byname["basic"]
        names = [field.name.replace("-", "_") for field in basic.fields]
        self.assertEqual(
            names,
            [
                *("content_type", "content_encoding", "headers", "delivery_mode", "priority", "correlation_id"),
                *("reply_to", "expiration", "message_id", "timestamp", "type", "user_id", "app_id", "cluster_id"),
            ],
        )

    def test_describes_classes_and_methods(self) -> None:
        """Classes and methods have a text: the loader crashes on a method without one."""
        for klass in load_spec().classes:
            self.assertTrue(klass.docs, klass.name)
            for method in klass.methods:
                self.assertTrue(method.description.strip(), f"{klass.name}.{method.name}")

    def test_is_read_by_txamqp(self) -> None:
        """txAMQP's loader makes the channels' methods from it, names that are Python keywords changed."""
        for name in ("basic_publish", "basic_return", "confirm_select", "connection_blocked", "exchange_bind"):
            self.assertTrue(callable(getattr(load_spec().klass, name)), name)
