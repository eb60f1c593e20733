"""A machine and a file descriptor -> a filter of system calls for code that only computes, as the kernel takes it.

What computing needs is allowed. What would change something outside (another process, the network, a file) ends the
process, so that code which only tries it has failed. Everything else is refused with EPERM: looking for a file is
what an innocent `import` does too.

Sources: linux/seccomp.h, linux/filter.h, linux/audit.h; the numbers are those of asm/unistd_64.h (x86-64) and
asm-generic/unistd.h (arm64).
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
import sys
from collections.abc import Iterable
from typing import Any

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000  # calls of x86-64 with this bit mean other ones

ALLOW, REFUSE, END = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_EXECUTABLE = 4  # PROT_EXEC
_CHANGES = 0o1103  # O_WRONLY, O_RDWR, O_CREAT, O_TRUNC

# name, number on x86-64, number on arm64 (-1: there is none)
_COMPUTES = """
futex 202 98, brk 12 214, munmap 11 215, mremap 25 216, madvise 28 233, clock_gettime 228 113, clock_getres 229 114,
gettimeofday 96 169, time 201 -1, rt_sigaction 13 134, rt_sigprocmask 14 135, rt_sigreturn 15 139, sigaltstack 131 132,
setitimer 38 103, getitimer 36 102, getpid 39 172, gettid 186 178, getrandom 318 278, sched_yield 24 124,
clock_nanosleep 230 115, nanosleep 35 101, restart_syscall 219 128, exit 60 93, exit_group 231 94
"""
_CHANGES_THE_WORLD = """
fork 57 -1, vfork 58 -1, clone 56 220, clone3 435 435, execve 59 221, execveat 322 281,
kill 62 129, tkill 200 130, rt_sigqueueinfo 129 138, rt_tgsigqueueinfo 297 240, pidfd_open 434 434,
pidfd_send_signal 424 424, ptrace 101 117, process_vm_readv 310 270, process_vm_writev 311 271,
socket 41 198, socketpair 53 199, connect 42 203, bind 49 200, listen 50 201, accept 43 202, accept4 288 242,
sendto 44 206, sendmsg 46 211, sendmmsg 307 269,
creat 85 -1, truncate 76 45, rename 82 -1, renameat 264 38, renameat2 316 276, unlink 87 -1, unlinkat 263 35,
link 86 -1, linkat 265 37, symlink 88 -1, symlinkat 266 36, mkdir 83 -1, mkdirat 258 34, rmdir 84 -1,
mknod 133 -1, mknodat 259 33, chmod 90 -1, fchmodat 268 53, chown 92 -1, lchown 94 -1, fchownat 260 54,
utime 132 -1, utimes 235 -1, utimensat 280 88, setxattr 188 5, removexattr 197 14,
mount 165 40, umount2 166 39, move_mount 429 429, fsopen 430 430, pivot_root 155 41, chroot 161 51, setns 308 268,
unshare 272 97, bpf 321 280, perf_event_open 298 241, io_uring_setup 425 425, userfaultfd 323 282, keyctl 250 219,
add_key 248 217, init_module 175 105, finit_module 313 273, delete_module 176 106, kexec_load 246 104,
kexec_file_load 320 294, reboot 169 142, settimeofday 164 170, clock_settime 227 112, sethostname 170 161
"""
_WRITE = (1, 64)
_MAP = ((9, 222), (10, 226))  # mmap and mprotect: the third argument is how the memory may be used
_OPEN = (((2, -1), 1), ((257, 56), 2))  # open and openat, and which argument says what for


def machine() -> str:
    """The kind of this machine as the filter has it; "" where there is no filter for it, or the kernel takes none."""
    known = sys.platform == "linux" and platform.machine() in _ARCHITECTURES
    if not (known and sys.maxsize > 1 << 32 and sys.byteorder == "little"):
        return ""
    # a kernel that takes filters looks for this one, and finds none at this place
    taken = _prctl(None) != 0 and ctypes.get_errno() == errno.EFAULT
    return platform.machine() if taken else ""


def program(kind: str, reply: int) -> bytes:
    """The filter for a `kind` of machine that may write to the file descriptor `reply` and to nothing else."""
    column = list(_ARCHITECTURES).index(kind)
    lines = [_line(_LOAD, _ARCHITECTURE), *_unless(_EQUAL, _ARCHITECTURES[kind], END), _line(_LOAD, _NUMBER)]
    if kind == "x86_64":
        lines += _if(_AT_LEAST, _X32, [_line(_RETURN, END)])
    for number in _numbers(_COMPUTES, column):
        lines += _if(_EQUAL, number, [_line(_RETURN, ALLOW)])
    lines += _if(_EQUAL, _WRITE[column], [*_argument(0), *_unless(_EQUAL, reply, REFUSE), _line(_RETURN, ALLOW)])
    for numbers in _MAP:
        checks = [*_argument(2), *_if(_ANY_BIT, _EXECUTABLE, [_line(_RETURN, REFUSE)]), _line(_RETURN, ALLOW)]
        lines += _if(_EQUAL, numbers[column], checks)
    for numbers, place in _OPEN:
        if numbers[column] >= 0:
            checks = [*_argument(place), *_if(_ANY_BIT, _CHANGES, [_line(_RETURN, END)]), _line(_RETURN, REFUSE)]
            lines += _if(_EQUAL, numbers[column], checks)
    for number in _numbers(_CHANGES_THE_WORLD, column):
        lines += _if(_EQUAL, number, [_line(_RETURN, END)])
    return b"".join([*lines, _line(_RETURN, REFUSE)])


def install(filter_: bytes) -> bool:
    """Put the filter on this process, for good; it must have given up new privileges. False where that failed."""
    return _prctl(ctypes.byref(_Program(len(filter_) // 8, filter_))) == 0


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def _prctl(of_it: Any) -> int:
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return int(prctl(22, 2, of_it, 0, 0))  # PR_SET_SECCOMP, with a filter


def _numbers(table: str, column: int) -> Iterable[int]:
    for entry in table.split(","):
        number = int(entry.split()[1 + column])
        if number >= 0:
            yield number


def _line(code: int, value: int, when: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("=HBBI", code, when, otherwise, value)


def _if(test: int, value: int, then: list[bytes]) -> list[bytes]:
    """Pass over `then` where the test fails."""
    return [_line(test, value, 0, len(then)), *then]


def _unless(test: int, value: int, answer: int) -> list[bytes]:
    return [_line(test, value, 1, 0), _line(_RETURN, answer)]


def _argument(place: int) -> list[bytes]:
    """The lower half of an argument; all of those that are looked at are ints in the kernel."""
    return [_line(_LOAD, _ARGUMENTS + 8 * place)]
