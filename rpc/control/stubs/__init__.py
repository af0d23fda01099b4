"""Made by `thrift-rpc compile`; it writes over what is changed here."""
