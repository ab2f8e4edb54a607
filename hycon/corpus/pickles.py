"""Reading a stranger's pickle: numpy arrays and plain containers, and nothing of it runs.

A pickle is a program, which may name any function and call it. This reader knows a few names, all
of them stand-ins of its own: numpy's objects are built here from their parts, checked, since
numpy's own unpickling trusts what it is given.
"""

import functools
import math
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np

from hycon.errors import HyConError

DTYPE = re.compile(r"(\?|b1|[iuf](1|2|4|8|16)|[SU]\d+|O\d*)")
HIGHEST_CODE_POINT = 0x10FFFF
# constructors may copy what the file holds once: this bounds what a file can make them allocate
COPIES, SPARE = 8, 1 << 20


def load_pickle(path: Path) -> Any:
    """Return what a pickle holds: numpy arrays, numbers, texts, bytes and plain containers of them.

    Arrays are of booleans, numbers, bytes, texts or objects, and may be read-only.

    Raises:
        HyConError: it holds anything else, which is named; or is no pickle, or is cut short.
    """
    try:
        with path.open("rb") as file:
            return _Reader(file, path.stat().st_size).load()
    except FileNotFoundError:
        raise HyConError(f"{path}: no such file; fetch it, or put it there by hand") from None
    except _Foreign as error:
        raise HyConError(
            f"{path}: holds {error}, expected numpy arrays and plain containers only; nothing of "
            "it was run; fetch the file from its authors"
        ) from None
    # all that an arbitrary sequence of opcodes and operands can cause
    except (
        pickle.UnpicklingError, EOFError, OSError, ArithmeticError, LookupError, ValueError,
        TypeError, AttributeError, MemoryError, RecursionError,
    ) as error:  # fmt: skip
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise HyConError(
            f"{path}: not a readable pickle ({reason}); delete it and fetch it again"
        ) from None


class _Foreign(Exception):
    """What a pickle names and may not."""


class _Constructor:
    """A name that a pickle may call: what it stands for here."""

    def __init__(self, make: Callable[..., Any]) -> None:
        self.make = make


class _Pending:
    """A numpy object between its two steps, the call and the state that follows."""

    def __init__(self, complete: Callable[[Any], Any]) -> None:
        self.complete = complete
        self.value: Any = None
        self.whole = False


class _Bounded:
    """A file that refuses at once to give more than it has."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._left = file, size

    def read(self, size: int) -> bytes:
        if not 0 <= size <= self._left:
            raise EOFError("cut short")
        self._left -= size
        return self._file.read(size)

    def readline(self) -> bytes:
        line = self._file.readline()
        self._left -= len(line)
        return line

    def readinto(self, buffer: bytearray) -> int:
        data = self.read(len(buffer))
        buffer[:] = data
        return len(data)


class _Reader(pickle._Unpickler):
    """Python's own reader of pickles, without the opcodes that reach for anything outside.

    The one in C would be faster and cannot be narrowed; files of arrays hold few opcodes.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        # Python 2 stored bytes as texts: latin-1 keeps each of them
        super().__init__(_Bounded(file, size), encoding="latin-1")
        self._size = size
        self._budget = COPIES * size + SPARE
        self._pending = 0

    def load(self) -> Any:
        value = super().load()
        if self._pending:
            raise pickle.UnpicklingError("an array without its content")
        return value

    def find_class(self, module: str, name: str) -> _Constructor:
        make = NAMES.get(f"{module}.{name}")
        if make is None:
            raise _Foreign(f"{module}.{name}"[:200])
        return _Constructor(functools.partial(make, self))

    def spend(self, size: int) -> None:
        """Count bytes that a constructor copies; refuse what the file's size cannot justify."""
        self._budget -= size
        if self._budget < 0:
            raise pickle.UnpicklingError("asks for more memory than its size explains")

    def load_reduce(self) -> None:
        arguments = self.stack.pop()
        constructor = self.stack.pop()
        if not isinstance(constructor, _Constructor) or not isinstance(arguments, tuple):
            raise pickle.UnpicklingError("a call of something that is no constructor")
        value = constructor.make(*arguments)
        self._pending += isinstance(value, _Pending)
        self.append(value)

    def load_build(self) -> None:
        state = self.stack.pop()
        pending = self.stack.pop()
        if not isinstance(pending, _Pending) or pending.whole:
            raise pickle.UnpicklingError("a state of something that has none")
        pending.value, pending.whole = pending.complete(state), True
        self._pending -= 1
        self.append(pending.value)

    def _recall(self, number: int) -> None:
        value = self.memo[number]
        if isinstance(value, _Pending):
            if not value.whole:
                raise pickle.UnpicklingError("an array that contains itself")
            value = value.value
        self.append(value)

    def load_get(self) -> None:
        self._recall(int(self.readline()[:-1]))

    def load_binget(self) -> None:
        self._recall(self.read(1)[0])

    def load_long_binget(self) -> None:
        self._recall(int.from_bytes(self.read(4), "little"))

    def load_bytearray8(self) -> None:
        # not allocated before it is known to be there
        self.append(bytearray(self.read(int.from_bytes(self.read(8), "little"))))

    dispatch: ClassVar = {
        **pickle._Unpickler.dispatch,
        pickle.REDUCE[0]: load_reduce,
        pickle.BUILD[0]: load_build,
        pickle.GET[0]: load_get,
        pickle.BINGET[0]: load_binget,
        pickle.LONG_BINGET[0]: load_long_binget,
        pickle.BYTEARRAY8[0]: load_bytearray8,
    }


def _refusal(opcode: str) -> Callable[[_Reader], None]:
    def refuse(reader: _Reader) -> None:
        raise _Foreign(f"the opcode {opcode}")

    return refuse


# what calls, names or imports anything else; DUP would let an unfinished array stand in two places
for _name in (
    "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID",
    "NEXT_BUFFER", "READONLY_BUFFER", "DUP",
):  # fmt: skip
    _Reader.dispatch[getattr(pickle, _name)[0]] = _refusal(_name)


def _bytes(reader: _Reader, data: Any) -> bytes | bytearray:
    """Return an array's bytes, which Python 2 stored as a text."""
    if isinstance(data, str):
        reader.spend(len(data))
        return data.encode("latin-1")
    if not isinstance(data, (bytes, bytearray)):
        raise pickle.UnpicklingError(f"{type(data).__name__} where an array's bytes should be")
    return data


def _count(shape: Any) -> int:
    """Return the number of elements of a shape."""
    shape = (shape,) if type(shape) is int else shape
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
        raise pickle.UnpicklingError(f"the shape {str(shape)[:60]} of an array")
    return math.prod(shape)


def _array(reader: _Reader, data: Any, dtype: Any, shape: Any, order: str) -> np.ndarray:
    """Build an array of a checked type from its bytes, or its objects, without copying them."""
    count = _count(shape)
    if not isinstance(dtype, np.dtype):
        raise pickle.UnpicklingError("an array without a type")
    if dtype.kind == "O":
        if not isinstance(data, list) or len(data) != count:
            raise pickle.UnpicklingError(f"an array of {count} objects with another number of them")
        reader.spend(8 * count)
        array = np.empty(count, dtype=object)
        for number, item in enumerate(data):
            array[number] = item
        return array.reshape(shape)
    data = _bytes(reader, data)
    if len(data) != count * dtype.itemsize or not dtype.itemsize:
        raise pickle.UnpicklingError(f"{len(data)} bytes for {count} elements of {dtype}")
    if not count:
        return np.empty(shape, dtype)
    array = np.frombuffer(data, dtype)
    if dtype.kind == "U":
        code_points = np.frombuffer(data, np.dtype("u4").newbyteorder(dtype.byteorder))
        if code_points.max() > HIGHEST_CODE_POINT:
            raise pickle.UnpicklingError("a text that is none")
    return array.reshape(shape, order=order)


def _reconstruct(reader: _Reader, kind: Any, *_: Any) -> _Pending:
    """Stand for numpy's _reconstruct(ndarray, shape, type): both follow in the state."""
    if getattr(getattr(kind, "make", None), "func", None) is not _ndarray:
        raise pickle.UnpicklingError("a subclass of an array")

    def complete(state: Any) -> np.ndarray:
        if not isinstance(state, tuple) or len(state) not in (4, 5):
            raise pickle.UnpicklingError("an array's state of another form")
        shape, dtype, fortran, data = state[-4:]
        return _array(reader, data, dtype, shape, "F" if fortran else "C")

    return _Pending(complete)


def _ndarray(reader: _Reader, *_: Any) -> None:
    raise pickle.UnpicklingError("an array that is made by itself")


def _dtype(reader: _Reader, name: Any, *_: Any) -> _Pending:
    """Stand for numpy.dtype(name, align, copy); its byte order follows in the state."""
    name = name.decode("latin-1") if isinstance(name, bytes) else name
    if not isinstance(name, str) or not DTYPE.fullmatch(name):
        raise _Foreign(f"an array of type {str(name)[:60]}")
    plain = np.dtype("O" if name.startswith("O") else name)

    def complete(state: Any) -> np.dtype:
        if not isinstance(state, tuple) or len(state) < 5 or any(p is not None for p in state[2:5]):
            raise _Foreign("a structured array")
        order = state[1].decode("latin-1") if isinstance(state[1], bytes) else state[1]
        if order not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError("an unknown order of bytes")
        return plain if order == "|" else plain.newbyteorder(order)

    return _Pending(complete)


def _scalar(reader: _Reader, dtype: Any, data: Any = b"") -> Any:
    """Stand for numpy's scalar(dtype, bytes)."""
    if isinstance(dtype, np.dtype) and dtype.kind == "O":
        raise _Foreign("a numpy scalar of type object")
    return _array(reader, data, dtype, (), "C")[()]


def _from_buffer(reader: _Reader, data: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    """Stand for numpy's _frombuffer, as protocol 5 stores arrays."""
    return _array(reader, data, dtype, shape, "F" if order == "F" else "C")


def _encode(reader: _Reader, text: Any, encoding: Any = "latin1") -> bytes:
    """Stand for _codecs.encode, as protocols before 3 store bytes."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError("bytes of another form")
    reader.spend(len(text))
    return text.encode("latin-1")


def _plain_bytes(kind: type, reader: _Reader, data: Any = b"", *_: Any) -> bytes | bytearray:
    data = _bytes(reader, data)
    reader.spend(len(data))
    return kind(data)


def _container(kind: type, reader: _Reader, items: Any = ()) -> Any:
    if not isinstance(items, (list, tuple)):
        raise pickle.UnpicklingError(f"a {kind.__name__} of something else than items")
    reader.spend(64 * len(items))
    return kind(items)


NAMES: dict[str, Callable[..., Any]] = {
    "numpy.ndarray": _ndarray,
    "numpy.dtype": _dtype,
    **{
        f"numpy.{core}.{name}": make
        for core in ("core", "_core")
        for name, make in (
            ("multiarray._reconstruct", _reconstruct),
            ("multiarray.scalar", _scalar),
            ("numeric._frombuffer", _from_buffer),
        )
    },
    "_codecs.encode": _encode,
    "collections.OrderedDict": functools.partial(_container, dict),
    **{
        f"{module}.{name}": make
        for module in ("builtins", "__builtin__")
        for name, make in (
            ("bytes", functools.partial(_plain_bytes, bytes)),
            ("bytearray", functools.partial(_plain_bytes, bytearray)),
            ("set", functools.partial(_container, set)),
            ("frozenset", functools.partial(_container, frozenset)),
        )
    },
}
