"""A pickle runs nothing: the gadgets that are known for it, by name (more in tests/corpus)."""

import builtins
import copyreg
import os
import pickle
import struct

import numpy as np
import pytest

from hycon.errors import HyConError
from hycon.untrusted.pickles import load_pickle


class Gadget:
    """A value whose pickle calls something with arguments, and then sets a state."""

    def __init__(self, function, *arguments, state=None):
        self.call = function, arguments, state

    def __reduce__(self):
        return self.call


def in_objects(value):
    return np.array([value, None], dtype=object)


def in_an_array_of_arrays(value):
    return np.array([in_objects({"a": [in_objects(value)]}), 0], dtype=object)


WRAPS = (lambda value: value, lambda value: {"train": [value]}, in_objects, in_an_array_of_arrays)


@pytest.fixture
def attack(tmp_path, monkeypatch):
    """Return a function that reads bytes as a pickle and returns what it is refused with."""
    monkeypatch.chdir(tmp_path)

    def attack(content):
        (tmp_path / "evil.pkl").write_bytes(content)
        with pytest.raises(HyConError) as caught:
            load_pickle(tmp_path / "evil.pkl")
        assert [path.name for path in tmp_path.iterdir()] == ["evil.pkl"]
        message = str(caught.value)
        assert message.isprintable()
        assert message.startswith(f"{tmp_path}/evil.pkl: ")
        return message

    return attack


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("wrap", WRAPS)
def test_a_call_is_refused_wherever_in_arrays_it_lies(attack, wrap, protocol):
    code = "open('ran', 'w')"
    gadgets = {
        "eval": Gadget(builtins.eval, code),
        "exec": Gadget(builtins.exec, code),
        "system": Gadget(os.system, "touch ran"),
        "open": Gadget(builtins.open, "ran", "w"),
        "numpy.load": Gadget(np.load, "evil.pkl", None, True),
        "numpy.fromfile": Gadget(np.fromfile, "evil.pkl"),
        "_reconstructor": Gadget(copyreg._reconstructor, dict, dict, {}),
    }
    for name, gadget in gadgets.items():
        message = attack(pickle.dumps(wrap(gadget), protocol))
        assert "nothing was executed" in message
        assert name.rpartition(".")[2] in message


RAN = b"X\x08\x00\x00\x00touch ran"
SYSTEM = b"cposix\nsystem\n"
RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"
SCALAR = b"cnumpy.core.multiarray\nscalar\n"
OBJECTS = b"cnumpy\ndtype\nX\x02\x00\x00\x00O8\x85R(K\x03X\x01\x00\x00\x00|NNNK\x00K\x00K\x3ftb"
INNER = SYSTEM + RAN + b"\x85R."
EMPTY = RECONSTRUCT + b"cnumpy\nndarray\nK\x00\x85C\x01b\x87R"


@pytest.mark.parametrize(
    "program",
    [
        SYSTEM + RAN + b"\x85R",  # REDUCE
        b"(" + RAN + b"iposix\nsystem\n",  # INST
        b"(" + SYSTEM + RAN + b"o",  # OBJ
        SYSTEM + RAN + b"\x85\x81",  # NEWOBJ
        SYSTEM + RAN + b"\x85}\x92",  # NEWOBJ_EX
        b"\x8c\x05posix\x8c\x06system\x93" + RAN + b"\x85R",  # STACK_GLOBAL
        b"cos\nsystem.__call__\n" + RAN + b"\x85R",  # a dotted name
        b"cbuiltins\neval\nX\x0f\x00\x00\x00open('ran', 'w')\x85R",
        # numpy's own functions, which trust their arguments
        SCALAR + OBJECTS + b"C" + bytes([len(INNER)]) + INNER + b"\x86R",  # unpickles its bytes
        RECONSTRUCT + SYSTEM + RAN + b"C\x01b\x87R",  # of another class
        RECONSTRUCT + b"cnumpy\nmemmap\n" + RAN + b"C\x01w\x87R",
        EMPTY + b"(K\x01K\x01\x85" + OBJECTS + b"\x89](" + SYSTEM + RAN + b"\x85Retb",
        b"cnumpy.core._methods\n_ctypes\n)R",
        # the memo: a name in place of data, an array before it is built, a stand-in with a state
        SYSTEM + b"q\x00" + RAN + b"q\x010h\x00h\x01\x85R",
        SYSTEM + b"r\xff\xff\xff\xff0j\xff\xff\xff\xff" + RAN + b"\x85R",
        EMPTY + b"q\x00}X\x0c\x00\x00\x00__setstate__" + SYSTEM + b"sb" + RAN + b"b",
        RECONSTRUCT + b"}X\x08\x00\x00\x00__code__" + RAN + b"sb",
        b"cnumpy\ndtype\n}X\x0a\x00\x00\x00__reduce__" + SYSTEM + b"sb",
        b"}" + b"}X\x09\x00\x00\x00__class__" + SYSTEM + b"sb",
        b"\x82\x01", b"\x83\x01\x00", b"\x84\x01\x00\x00\x00",  # EXT1, EXT2, EXT4
        b"Pposix.system\n", RAN + b"Q",  # PERSID, BINPERSID
        b"\x97", b"]\x98",  # NEXT_BUFFER, READONLY_BUFFER
        b"\x8d" + struct.pack("<Q", 2**62),  # claims of a length: BINUNICODE8, BINBYTES8, ...
        b"\x8e" + struct.pack("<Q", 2**62), b"\x96" + struct.pack("<Q", 2**62),
        b"B" + struct.pack("<I", 2**32 - 1), b"\x8b" + struct.pack("<i", 2**31 - 1),
        b"T" + struct.pack("<i", -1), b"\x8b" + struct.pack("<i", -1),
    ],
    ids=str,
)  # fmt: skip
def test_a_program_of_a_pickle_is_not_run(attack, program):
    attack(program + b".")
    attack(b"\x80\x04(" + program + b"l.")
