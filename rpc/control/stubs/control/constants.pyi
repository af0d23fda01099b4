# Made by `thrift-rpc compile`; it writes over what is changed here.
from typing import Final as _Final
from .ttypes import *
