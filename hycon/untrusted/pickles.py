"""Read untrusted pickles: only numpy arrays and plain containers, without executing code.

A pickle is a program that can name and call any function. Here it finds only a few names, and each
of them is a replacement in this module that builds a value from checked parts. Numpy's own
unpickling is not used, because it trusts its input.
"""

import math
import os
import pickle
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from hycon.corpus.formats import mistaken
from hycon.errors import HyConError, printable

LEAVES = (str, bytes, bytearray, int, float, type(None), np.generic, np.dtype)
DTYPE = re.compile(r"\?|b1|[iufSU][0-9]+|O[0-9]*")
# numpy would believe any bytes to be a truth value or a character
HIGHEST = {"b": ("u1", 1), "U": ("u4", sys.maxunicode)}
MOST_DIMENSIONS = 64
# old protocols copy bytes twice; a small file could have a part of it copied without end
COPIES = 4
# arrays of objects are freed by recursion in C, which breaks some thousand arrays deep
MOST_NESTED = 200


def load_pickle(path: Path) -> Any:
    """Return the content of a pickle: plain containers, numbers, texts, bytes, and arrays of these.

    Arrays may be read-only, an OrderedDict becomes a dict, and a str of Python 2 is decoded as
    latin-1.

    Raises:
        HyConError: the file is missing, not a pickle, truncated, or contains anything else.
    """
    try:
        _expect(not (problem := mistaken(path)), f"it {problem}")
        with path.open("rb") as file:
            return _Reader(file).load()
    except FileNotFoundError:
        raise HyConError(f"{path}: no such file; fetch it, or put it there") from None
    except OSError as error:
        raise HyConError(f"{path}: cannot be read ({error.strerror}), expected a file") from None
    except MemoryError:
        raise HyConError(f"{path}: does not fit in memory; read it on a larger machine") from None
    except _Foreign as error:
        raise HyConError(
            f"{path}: contains {_one_line(error)}, expected numpy arrays and plain containers; "
            "nothing was executed; use the file that its authors publish"
        ) from None
    except Exception as error:  # untrusted pickles can cause any exception
        raise HyConError(
            f"{path}: not a readable pickle ({_one_line(error)}); delete it and fetch it again"
        ) from None


def _one_line(error: Exception) -> str:
    """Return the message of an error, which may quote the file, as one safe line."""
    return printable(str(error)[:200] or type(error).__name__)


class _Foreign(Exception):
    """What a pickle names and may not."""


def _expect(fine: bool, problem: str) -> None:
    if not fine:
        raise pickle.UnpicklingError(problem)


class _Source:
    """A file that refuses reads beyond its end before memory is allocated."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = self._left = os.fstat(file.fileno()).st_size

    def _claim(self, size: int) -> int:
        if size > self._left:
            raise EOFError("it is cut short")
        self._left -= size
        return size

    def read(self, size: int) -> bytes:
        return self._file.read(self._claim(size))

    def readline(self) -> bytes:
        line = self._file.readline()
        _expect(line.endswith(b"\n"), "it is cut short")
        self._claim(len(line))
        return line

    def read_bytearray(self, size: int) -> bytearray:
        data = bytearray(self._claim(size))
        self._file.readinto(data)
        return data


class _Pending:
    """An array or a type whose state follows later in the pickle."""

    def __init__(self, complete: Callable[[tuple], Any]) -> None:
        self.complete, self.value = complete, None


class _Memo(dict):
    """Values that a pickle refers to again; a pending value resolves to its final value."""

    def __getitem__(self, number: int) -> Any:
        value = super().__getitem__(number)
        return value.value if type(value) is _Pending and value.value is not None else value


class _Reader(pickle._Unpickler):
    """Python's reader of pickles, reduced to data; the one written in C cannot be."""

    def __init__(self, file: BinaryIO) -> None:
        self._source = _Source(file)
        # latin-1 keeps every byte of a Python 2 str, such as an array's content
        super().__init__(self._source, encoding="latin-1")
        self.memo = _Memo()
        self._budget = COPIES * self._source.size
        self._nested = 0

    def load(self) -> Any:
        value = super().load()
        _require_plain(value)
        return value

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        if f"{module}.{name}" not in STAND_INS:
            raise _Foreign(f"{module}.{name}")
        return STAND_INS[f"{module}.{name}"]

    def load_inst(self) -> None:
        module, name = (self.readline()[:-1].decode() for _ in range(2))
        raise _Foreign(f"{module}.{name}")

    def load_reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        known = any(function is stand_in for stand_in in STAND_INS.values())
        _expect(known, f"a call of {type(function).__name__}")
        self._spend(arguments)
        self.append(function(*arguments))

    def load_build(self) -> None:
        state, pending = self.stack.pop(), self.stack.pop()
        _expect(type(pending) is _Pending, f"a state for {type(pending).__name__}")
        self._spend(state)
        value = pending.value = pending.complete(state)
        if _is_of_objects(value):
            self._nested += any(map(_is_of_objects, value.flat))
            _expect(self._nested <= MOST_NESTED, "too many arrays of arrays of objects")
        self.append(value)

    def _spend(self, parts: Any) -> None:
        """Limit copies, because repeated references take no room in the file."""
        _expect(type(parts) is tuple, f"{type(parts).__name__}, expected a tuple")
        sized = (str, bytes, bytearray, list, tuple)
        self._budget -= sum(len(part) for part in parts if isinstance(part, sized))
        _expect(self._budget >= 0, "it asks for more memory than its size explains")

    def load_frame(self) -> None:
        self.read(8)  # a frame is a hint to readers of a network, and its size a promise

    def load_bytearray8(self) -> None:
        self.append(self._source.read_bytearray(int.from_bytes(self.read(8), "little")))

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._update([key, value])

    def load_setitems(self) -> None:
        self._update(self.pop_mark())

    def load_dict(self) -> None:
        items = self.pop_mark()
        self.append({})
        self._update(items)

    def _update(self, items: list) -> None:
        pairs = zip(map(_key, items[::2]), items[1::2], strict=True)
        dict.update(self.stack[-1], pairs)  # a TypeError for all but a dict

    def load_additems(self) -> None:
        items = self.pop_mark()
        set.update(self.stack[-1], map(_key, items))

    def load_frozenset(self) -> None:
        items = self.pop_mark()
        self.append(frozenset(map(_key, items)))


def _refuse(code: int, _: _Reader) -> None:
    raise pickle.UnpicklingError(f"the byte {code:#04x} where an opcode of plain data should be")


# plain data uses none of these
REMOVED = (
    pickle.OBJ + pickle.NEWOBJ + pickle.NEWOBJ_EX + pickle.EXT1 + pickle.EXT2 + pickle.EXT4
    + pickle.PERSID + pickle.BINPERSID + pickle.NEXT_BUFFER + pickle.READONLY_BUFFER
)  # fmt: skip
_Reader.dispatch = {code: partial(_refuse, code) for code in range(256)} | {
    code: getattr(_Reader, operation.__name__)
    for code, operation in pickle._Unpickler.dispatch.items()
    if code not in REMOVED
}


def _require_plain(value: Any) -> None:
    """Refuse a value that contains a replacement or an unfinished part; it may contain itself."""
    waiting, seen = [value], set()
    while waiting:
        one = waiting.pop()
        if isinstance(one, LEAVES) or id(one) in seen:
            continue
        seen.add(id(one))
        if type(one) is dict:
            waiting.extend(one)
            waiting.extend(one.values())
        elif type(one) is np.ndarray:
            waiting.extend(one.flat if _is_of_objects(one) else ())
        else:
            plain = type(one) in (list, tuple, set, frozenset)
            _expect(plain, "an array without its content, or a name without a call")
            waiting.extend(one)


def _is_of_objects(value: Any) -> bool:
    return type(value) is np.ndarray and value.dtype.kind == "O"


def _key(key: Any) -> Any:
    """Return a key that hashes at once: tuples of tuples recurse in C, without a limit."""
    parts = key if type(key) is tuple else (key,)
    _expect(all(isinstance(part, LEAVES) for part in parts), "a container as a key")
    return key


def _items(items: Any) -> list | tuple:
    _expect(type(items) in (list, tuple), f"{type(items).__name__}, expected a list")
    return items


def _content(data: Any) -> bytes | bytearray:
    """Return bytes, which Python 2 stored as a str."""
    data = data.encode("latin-1") if isinstance(data, str) else data
    _expect(isinstance(data, (bytes, bytearray)), f"{type(data).__name__}, expected bytes")
    return data


def _count(shape: Any) -> int:
    """Return the number of elements of a shape."""
    fine = type(shape) is tuple and len(shape) <= MOST_DIMENSIONS
    fine = fine and all(type(n) is int and 0 <= n <= sys.maxsize for n in shape)
    _expect(fine, "an impossible shape of an array")
    return math.prod(shape)


def _array(data: Any, dtype: Any, shape: Any, order: Any, axes: Any = None) -> np.ndarray:
    """Stand for numpy's _frombuffer: an array on the bytes themselves, not on a copy."""
    _expect(isinstance(dtype, np.dtype), f"{type(dtype).__name__}, expected an array's type")
    count = _count(shape)
    if dtype.kind == "O":  # a list in C order, whatever the order
        _expect(len(_items(data)) == count, f"{len(data)} objects for an array {shape}")
        return np.fromiter(data, object, count).reshape(shape)
    data = _content(data)
    fitting = dtype.itemsize and len(data) == count * dtype.itemsize
    _expect(fitting, f"{len(data)} bytes for an array of {dtype} {shape}")
    if not data:
        return np.empty(0, dtype).reshape(shape)
    if dtype.kind in HIGHEST:
        unit, highest = HIGHEST[dtype.kind]
        units = np.frombuffer(data, np.dtype(unit).newbyteorder(dtype.byteorder))
        _expect(units.max() <= highest, f"bytes that are no {dtype}")
    array = np.frombuffer(data, dtype)
    if order == "K":  # the axes are in another order than in memory
        return array.reshape(shape).transpose(axes)
    return array.reshape(shape, order=order)


def _array_of_state(state: tuple) -> np.ndarray:
    version, shape, dtype, is_fortran, data = state
    _expect(version == 1, "an array of an unknown version")
    return _array(data, dtype, shape, "F" if is_fortran else "C")


def _reconstruct(kind: Any, *_: Any) -> _Pending:
    """Replace numpy's _reconstruct; shape and type come later, with the state."""
    _expect(kind is _ndarray, "an array of another class")
    return _Pending(_array_of_state)


def _ndarray(*_: Any) -> None:
    _expect(False, "an array without its content")


def _dtype(name: Any, *_: Any) -> _Pending:
    """Stand for numpy.dtype; the order of bytes is in the state."""
    _expect(type(name) is str, f"{type(name).__name__}, expected a type's name")
    if not DTYPE.fullmatch(name):
        raise _Foreign(f"an array of type {name}")
    return _Pending(partial(_dtype_of_state, "O" if name.startswith("O") else name))


def _dtype_of_state(name: str, state: tuple) -> np.dtype:
    _, order, subarray, names, fields, *_ = state
    _expect(order in ("<", ">", "|", "="), "an unknown order of bytes")
    _expect(subarray is names is fields is None, "a structured array")
    return np.dtype(order + name)


def _encode(text: Any, encoding: Any) -> bytes:
    """Stand for _codecs.encode, by which Python 3 stores bytes in protocols before 3."""
    _expect(type(text) is str and encoding == "latin1", "bytes in an unknown encoding")
    return text.encode("latin-1")


STAND_INS: dict[str, Callable[..., Any]] = {
    "numpy.ndarray": _ndarray,
    "numpy.dtype": _dtype,
    "_codecs.encode": _encode,
    "collections.OrderedDict": lambda pairs=(): {
        _key(key): value for key, value in map(_items, _items(pairs))
    },
}
for _core in ("numpy.core", "numpy._core"):  # before and since numpy 2
    STAND_INS[f"{_core}.multiarray._reconstruct"] = _reconstruct
    STAND_INS[f"{_core}.multiarray.scalar"] = lambda dtype, data: _array(data, dtype, (), "C")[()]
    STAND_INS[f"{_core}.numeric._frombuffer"] = _array
for _builtins in ("__builtin__", "builtins"):  # before and since Python 3
    STAND_INS[f"{_builtins}.bytes"] = lambda: b""  # all others are encoded texts
    STAND_INS[f"{_builtins}.bytearray"] = lambda data=b"", *_: bytearray(_content(data))
    STAND_INS[f"{_builtins}.set"] = lambda items: set(map(_key, _items(items)))
    STAND_INS[f"{_builtins}.frozenset"] = lambda items: frozenset(map(_key, _items(items)))
