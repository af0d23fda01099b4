"""``thrift-rpc compile``: from ``.thrift`` files to an importable package of typed stubs.

- :mod:`~rpc.compiler.driver` runs Apache Thrift's compiler: for the parsed IDL (``xml:merge``), and for stubs
  (``py:twisted``). :mod:`~rpc.compiler.reading` reads its list of the files that it parsed.
- :mod:`~rpc.compiler.sources` finds the files and their includes; :mod:`~rpc.compiler.source` is one of them.
  :mod:`~rpc.compiler.includes` refuses the files, and :mod:`~rpc.compiler.typedefs` the typedefs, that the compiler
  must not read.
- :mod:`~rpc.compiler.idl_xml` turns the parsed IDL into the content of ``idl.json``; :mod:`~rpc.compiler.known_types`
  finds the types that one file names and another one defines.
- :mod:`~rpc.compiler.names`, :mod:`~rpc.compiler.struct_names` and :mod:`~rpc.compiler.method_annotations` refuse IDL
  that would make broken stubs, by :mod:`~rpc.compiler.name_rules`.
- :mod:`~rpc.compiler.layout` arranges all stubs as one package; :mod:`~rpc.compiler.references` makes their imports
  relative.
- :mod:`~rpc.compiler.finishing` completes the modules where the compiler's own text does not work: by
  :mod:`~rpc.compiler.hashed_types`, :mod:`~rpc.compiler.literals`, :mod:`~rpc.compiler.unnumbered`,
  :mod:`~rpc.compiler.defaults`, :mod:`~rpc.compiler.name_repairs`, :mod:`~rpc.compiler.service_names`,
  :mod:`~rpc.compiler.argument_repairs` and :mod:`~rpc.compiler.method_fields`.
- :mod:`~rpc.compiler.documenting` writes the doc comments, which the compiler does not see;
  :mod:`~rpc.compiler.audit` refuses a module that holds what no stub has.
- :mod:`~rpc.compiler.pyi` adds the types, with their :mod:`~rpc.compiler.docstrings`.
- :mod:`~rpc.compiler.output` compares the files with a folder and puts them in place, all or none
  (:mod:`~rpc.compiler.replacement`).
- :mod:`~rpc.compiler.compilation` calls them in this order. It writes nothing; the output is written at the end.
"""

from rpc.compiler.compilation import Compilation, compile_idl
from rpc.compiler.output import Difference, compare, compiled_by, install

__all__ = ["Compilation", "Difference", "compare", "compile_idl", "compiled_by", "install"]
