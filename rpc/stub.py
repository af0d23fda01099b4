"""A stub of the Thrift compiler as data: its methods with the structs of their arguments and results.

The generated ``Client`` and ``Processor`` lose calls and mix up replies: after a reply that does not decode, a seqid
past 2^31, or half a reply followed by an exception. So client and worker use only the structs, and repair their faults;
the messages are the same. Pure: reads modules, no I/O beside ``idl.json``.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from operator import attrgetter
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

import attrs
from zope.interface.interface import InterfaceClass, Method

from rpc import idl
from rpc.errors import ConfigurationError
from rpc.generated_defaults import repair_defaults
from rpc.generated_exceptions import repair
from rpc.struct_checks import Check
from rpc.validity import validity_check


@attrs.frozen(eq=False)
class StubMethod:
    """One method of a service.

    :ivar name: the method's name in the IDL.
    :ivar attribute: its name in Python: ``import_`` for a method ``import``, otherwise the same.
    :ivar argument_names: in the IDL's order, which is that of the handler's parameters.
    :ivar arguments_class: the generated struct of the arguments.
    :ivar result_class: the generated struct of result and exceptions; ``None`` for a oneway method.
    :ivar oneway: the method has no reply, not even an empty one.
    :ivar has_result: ``False`` for ``void``.
    :ivar throws: the IDL's exceptions, by number: attribute of the result struct, and class.
    :ivar signature: the parameters of the stub's method, without ``self``.
    :ivar doc: the IDL's doc comment; ``""`` without one.
    :ivar timeout: seconds, from the IDL's annotation ``timeout_ms``; ``None`` without one.
    :ivar check_arguments: raises ``TProtocolException`` when a ``required`` field is unset, or a union has not exactly
        one field; ``None`` when the types have neither. Thrift's accelerated code does not check.
    :ivar check_result: the same for the result.
    :ivar idempotent: whether the IDL says that the method may be run twice.
    :ivar arguments_of: returns the values of an arguments struct, in the handler's order.
    """

    name: str
    argument_names: tuple[str, ...]
    arguments_class: type
    result_class: type | None
    has_result: bool
    throws: tuple[tuple[str, type[Exception]], ...]
    signature: inspect.Signature
    doc: str
    timeout: float | None
    check_arguments: Check | None
    check_result: Check | None
    attribute: str
    idempotent: bool = False
    oneway: bool = attrs.field(init=False)
    arguments_of: Callable[[Any], Sequence[Any]] = attrs.field(init=False)

    @oneway.default
    def _has_no_result(self) -> bool:
        return self.result_class is None

    @arguments_of.default
    def _get_arguments(self) -> Callable[[Any], Sequence[Any]]:
        names = self.argument_names
        if len(names) > 1:
            return attrgetter(*names)
        if names:
            return lambda struct: (getattr(struct, names[0]),)
        return lambda struct: ()


@attrs.frozen(eq=False)
class Stub:
    """A service of a stub module.

    :ivar service: the service's name in the IDL.
    :ivar interface: the generated zope interface, ``Iface``.
    :ivar methods: by name in the IDL, in alphabetical order; inherited ones, too.
    :ivar description: the IDL's; ``None`` when no ``idl.json`` has it.
    :ivar attributes: the methods by their name in Python.
    """

    service: str
    interface: InterfaceClass
    methods: dict[str, StubMethod]
    description: idl.ServiceDescription | None
    attributes: dict[str, StubMethod] = attrs.field(init=False)

    @attributes.default
    def _by_attribute(self) -> dict[str, StubMethod]:
        return {method.attribute: method for method in self.methods.values()}

    @classmethod
    def of(cls, stub: ModuleType | type) -> Stub:
        """Read a stub module, such as ``generated.calculator.Calculator``.

        :param stub: the module, or the class ``Client`` in it.
        :raises ConfigurationError: the module was not made by ``--gen py:twisted``; or its ``idl.json`` is damaged, or
            has a ``timeout_ms`` that is not a whole number above 0.
        """
        is_class = isinstance(stub, type) and stub.__name__ == "Client"
        module = sys.modules[stub.__module__] if is_class else stub
        interface = getattr(module, "Iface", None)
        if not isinstance(module, ModuleType) or not isinstance(interface, InterfaceClass):
            raise ConfigurationError(
                f"{getattr(stub, '__name__', stub)!r} is not a service stub: it has no zope interface Iface. "
                "Compile the IDL with 'thrift-rpc compile' and pass the module named like the service."
            )
        known = _stubs.get(module)
        if known is not None and known.interface is interface:  # else the module was reloaded
            return known
        service = module.__name__.rpartition(".")[2]
        try:
            description = idl.load(module)
            methods = _read_methods(interface, description)
        except (AttributeError, ValueError) as error:
            raise ConfigurationError(f"{module.__name__!r} is not a sound service stub: {error}") from error
        read = cls(service, interface, methods, description)
        read.keep(module)
        return read

    def keep(self, module: ModuleType) -> None:
        """Have :meth:`of` return this stub for a module, as long as the module's ``Iface`` is this interface."""
        _stubs[module] = self


_stubs: WeakKeyDictionary[ModuleType, Stub] = WeakKeyDictionary()
"""The stubs that were read, by module. Reading one inspects all methods and their structs."""


def _read_methods(interface: InterfaceClass, description: idl.ServiceDescription | None) -> dict[str, StubMethod]:
    """Return the methods by name in the IDL. Without a description a name in Python is taken for that in the IDL."""
    names = {idl.python_name(name): name for name in description.methods} if description else {}
    found = [
        _read_method(names.get(attribute, attribute), interface[attribute], description)
        for attribute in interface.names(all=True)
        if isinstance(interface[attribute], Method)
    ]
    return {method.name: method for method in sorted(found, key=lambda method: method.name)}


def _read_method(name: str, declared: Method, description: idl.ServiceDescription | None) -> StubMethod:
    module = sys.modules[declared.interface.__module__]
    return make_method(
        name,
        declared.getName(),
        tuple(declared.getSignatureInfo()["positional"]),
        (getattr(module, f"{name}_args"), getattr(module, f"{name}_result", None)),
        description,
    )


def make_method(
    name: str,
    attribute: str,
    argument_names: tuple[str, ...],
    structs: tuple[type, Any],
    description: idl.ServiceDescription | None,
) -> StubMethod:
    """Return a method of a stub, and repair the classes of its structs and exceptions.

    :param name: in the IDL.
    :param attribute: its name in Python.
    :param structs: the classes of its arguments and of its result; no class of a result for a oneway method.
    :raises ConfigurationError: the IDL's annotation ``timeout_ms`` is no whole number above 0.
    """
    arguments_class, result_class = structs
    fields = [field for field in result_class.thrift_spec if field is not None] if result_class else []
    throws = tuple((field[2], field[3][0]) for field in fields if field[0] != 0)
    for _, exception in throws:
        repair(exception)
    for struct in filter(None, structs):
        repair_defaults(struct)
    return StubMethod(
        name=name,
        argument_names=argument_names,
        arguments_class=arguments_class,
        result_class=result_class,
        has_result=any(field[0] == 0 for field in fields),
        throws=throws,
        signature=inspect.Signature(
            [inspect.Parameter(argument, inspect.Parameter.POSITIONAL_OR_KEYWORD) for argument in argument_names]
        ),
        doc=description.methods[name].doc if description and name in description.methods else "",
        timeout=_annotated_timeout(name, description),
        check_arguments=validity_check(arguments_class),
        check_result=validity_check(result_class) if result_class else None,
        attribute=attribute,
        idempotent=_is_idempotent(name, description),
    )


def _is_idempotent(name: str, description: idl.ServiceDescription | None) -> bool:
    if description is None or name not in description.methods:
        return False
    return description.methods[name].annotations.get("idempotent") == "true"


def _annotated_timeout(name: str, description: idl.ServiceDescription | None) -> float | None:
    if description is None or name not in description.methods:
        return None
    written = description.methods[name].annotations.get("timeout_ms")
    if written is None:
        return None
    if not written.isdecimal() or int(written) == 0:
        raise ConfigurationError(
            f"{description.name}.{name}: the annotation timeout_ms = {written!r} is not a whole number of "
            "milliseconds above 0"
        )
    return int(written) / 1000


def implements_all(handler: object, stub: Stub) -> list[str]:
    """Return the methods that `handler` lacks, or has with other parameters: their names in Python, in order."""
    return [name for name, method in stub.attributes.items() if not _accepts(getattr(handler, name, None), method)]


def _accepts(function: Callable[..., Any] | None, method: StubMethod) -> bool:
    if not callable(function):
        return False
    try:
        inspect.signature(function).bind(*method.argument_names)
    except TypeError:
        return False
    except ValueError:  # a callable written in C may have no signature
        return True
    return True
