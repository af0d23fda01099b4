"""From ``.thrift`` files to an importable package of typed stubs: what ``thrift-rpc compile`` does.

The way of a file: :mod:`~rpc.compiler.sources` finds it and what it includes, :mod:`~rpc.compiler.driver` has Apache
Thrift's compiler make stubs (``py:twisted``) and the parsed IDL (``xml:merge``), :mod:`~rpc.compiler.idl_xml` turns
the latter into the content of ``idl.json``, :mod:`~rpc.compiler.names` and
:mod:`~rpc.compiler.field_numbers` refuse what would make broken stubs,
:mod:`~rpc.compiler.layout` makes one package of it all, :mod:`~rpc.compiler.pyi` adds the types, and
:mod:`~rpc.compiler.output` puts the files in place. Nothing is written before everything has succeeded.
"""

from rpc.compiler.compilation import Compilation, compile_idl
from rpc.compiler.output import Difference, compare, install

__all__ = ["Compilation", "Difference", "compare", "compile_idl", "install"]
