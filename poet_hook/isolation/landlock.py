"""No file (or none but to read), no TCP port, no abstract socket, no signal: Landlock, as far as this kernel has it.

Source: linux/landlock.h; the calls have the same numbers on every machine.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION
_FILES = {1: 13, 2: 14, 3: 15, 5: 16}  # by ABI, how many ways to use a file it knows
_READING = 0b1000000000001101  # of these ways: execute, read a file, read a folder, ioctl
_WRITE_FILE, _BENEATH = 0b10, 1
_PORTS, _SCOPES = 4, 6  # the ABIs that brought bind and connect, abstract sockets and signals


def version() -> int:
    """The ABI of the kernel's Landlock; 0 where it has none."""
    if sys.platform != "linux":
        return 0
    return max(_syscall(_CREATE, None, 0, _VERSION), 0)


def restrict(abi: int, *, may_read: bool = False) -> bool:
    """Take files and ports from this process, for good; it must have given up new privileges.

    With `may_read` files are left to read and to run, and `os.devnull` to write to. False where nothing was taken.
    """
    if abi < 1:
        return False
    files = (1 << max(count for since, count in _FILES.items() if since <= abi)) - 1
    files &= ~_READING if may_read else files
    rules = struct.pack("=QQQ", files, 3 if abi >= _PORTS else 0, 3 if abi >= _SCOPES else 0)
    size = 8 if abi < _PORTS else 16 if abi < _SCOPES else 24
    ruleset = _syscall(_CREATE, rules, size, 0)
    if ruleset < 0:
        return False
    try:
        if may_read:
            nothing = os.open(os.devnull, os.O_PATH)
            _syscall(_ADD, ruleset, _BENEATH, struct.pack("=Qi", _WRITE_FILE, nothing), 0)
            os.close(nothing)
        return _syscall(_RESTRICT, ruleset, 0) == 0
    finally:
        os.close(ruleset)


def _syscall(number: int, *arguments: int | bytes | None) -> int:
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    taken = [ctypes.c_long(a) if isinstance(a, int) else ctypes.c_char_p(a) for a in arguments]
    return int(call(ctypes.c_long(number), *taken))
