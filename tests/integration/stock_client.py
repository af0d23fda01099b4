"""A client as Thrift's own tutorial writes it, on Thrift's own stubs and transports: nothing of this project.

``python stock_client.py STUBS DOOR PROTOCOL ADDRESS [SERVICE]``: a folder of stubs that ``thrift --gen py`` has made, a
way in (``framed``, ``tls``, ``header``, ``http``), a protocol, ``host:port`` or a URL, and a name for
``TMultiplexedProtocol``. It prints the answers as a line of JSON.
"""

from __future__ import annotations

import json
import ssl
import sys
from typing import Any

from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.protocol.TCompactProtocol import TCompactProtocol
from thrift.protocol.THeaderProtocol import THeaderProtocol
from thrift.protocol.TJSONProtocol import TJSONProtocol
from thrift.protocol.TMultiplexedProtocol import TMultiplexedProtocol
from thrift.Thrift import TApplicationException
from thrift.transport.THeaderTransport import THeaderClientType, THeaderSubprotocolID
from thrift.transport.THttpClient import THttpClient
from thrift.transport.TSocket import TSocket
from thrift.transport.TSSLSocket import TSSLSocket
from thrift.transport.TTransport import TFramedTransport

PROTOCOLS = {"binary": TBinaryProtocol, "compact": TCompactProtocol, "json": TJSONProtocol}
SUBPROTOCOLS = {"binary": THeaderSubprotocolID.BINARY, "compact": THeaderSubprotocolID.COMPACT}


def open_protocol(door: str, protocol: str, address: str) -> tuple[Any, Any]:
    """Return a transport, and the protocol on it."""
    transport: Any
    if door == "http":
        transport = THttpClient(address)
    else:
        host, _, port = address.rpartition(":")
        if door == "tls":
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            socket: Any = TSSLSocket(host, int(port), ssl_context=context)
        else:
            socket = TSocket(host, int(port))
        socket.setTimeout(20_000)
        if door == "header":
            transport = socket
            return transport, THeaderProtocol(socket, (THeaderClientType.HEADERS,), SUBPROTOCOLS[protocol])
        transport = TFramedTransport(socket)
    return transport, PROTOCOLS[protocol](transport)


def outcome(call: Any, *arguments: Any) -> Any:
    """Return the result of a call, or the error that it raises."""
    try:
        return call(*arguments)
    except TApplicationException as error:
        return ["TApplicationException", error.type, str(error)]


def main(stubs: str, door: str, protocol: str, address: str, service: str = "") -> None:
    """Make some calls."""
    sys.path.insert(0, stubs)
    from calculator import Calculator  # type: ignore[import-not-found]
    from calculator.ttypes import InvalidOperation, Operation, Work  # type: ignore[import-not-found]

    transport, chosen = open_protocol(door, protocol, address)
    if service:
        chosen = TMultiplexedProtocol(chosen, service)
    client = Calculator.Client(chosen)
    transport.open()
    results = [outcome(client.ping), outcome(client.add, 40, 2)]
    if results[1] == 42:
        try:
            client.calculate(1, Work(1, 0, Operation.DIVIDE))
        except InvalidOperation as error:
            results.append(["InvalidOperation", error.whatOp])
        client.zip()
        results.append(client.blob(bytes(range(256)) * 1000) == bytes(range(256)) * 1000)
        results.append(client.echo(Work(1, 2, comment="größer")).comment)
    transport.close()
    print(json.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
