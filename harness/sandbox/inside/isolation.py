"""Take a process out of reach of the machine: namespaces, a root of its own, no privileges, limits.

Linux only, through libc, without privileges where the system lets users make namespaces (user_namespaces(7)).
The order is that of the manual pages: user namespace first, then mounts (pivot_root(2)), then the privileges
that the user namespace gave are dropped for good.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys
from collections.abc import Mapping, Sequence

if sys.platform != "win32":  # which has no such limits, and runs no code
    import resource

__all__ = [
    "IsolationError",
    "become_powerless",
    "enter_namespaces",
    "limit",
    "make_root",
    "unreadable_memory",
]

_CLONE_NEWNS, _CLONE_NEWUTS, _CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
_CLONE_NEWUSER, _CLONE_NEWPID, _CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_REMOUNT = 1, 2, 4, 32
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 16384, 1 << 18
_ATTR_RDONLY, _ATTR_NOSUID, _ATTR_NODEV = 1, 2, 4
_AT_FDCWD, _AT_RECURSIVE, _MNT_DETACH = -100, 0x8000, 2
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_SYS_MOUNT_SETATTR = 442  # the same on every architecture
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217}
_SYS_CAPSET = {"x86_64": 126, "aarch64": 91, "riscv64": 91, "ppc64le": 184, "s390x": 185}
_CAPABILITY_VERSION_3 = 0x20080522
_NOBODY = 65534
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")


class IsolationError(Exception):
    """The system does not let this process isolate itself; the message says which step failed and why."""


def enter_namespaces() -> None:
    """Move this process into namespaces of its own: user, mount, network, IPC, UTS; its children, PID.

    The user is mapped to itself, and root to root and nobody, so that a program started by root runs as
    nobody.

    Raises:
        IsolationError: The system refuses.
    """
    user, group = os.geteuid(), os.getegid()
    ready, go = os.pipe()
    # Only a process outside may map more than its own user, so a child that stays outside writes the maps.
    mapper = os.fork()
    if mapper == 0:
        os.close(go)
        _die_with_parent()
        written = os.read(ready, 1) == b"1" and _write_maps(os.getppid(), user, group)
        os._exit(0 if written else 1)
    os.close(ready)
    flags = _CLONE_NEWUSER | _CLONE_NEWNS | _CLONE_NEWNET | _CLONE_NEWPID | _CLONE_NEWIPC | _CLONE_NEWUTS
    try:
        _libc_call("unshare", ctypes.c_int(flags), step="make user, mount, network and PID namespaces")
        os.write(go, b"1")
    finally:
        os.close(go)
        _, status = os.waitpid(mapper, 0)
    if status != 0:
        raise IsolationError("cannot map the user into a user namespace")


def _write_maps(pid: int, user: int, group: int) -> bool:
    try:
        if user != 0:
            _write(f"/proc/{pid}/setgroups", "deny")
        for name, own in (("uid_map", user), ("gid_map", group)):
            nobody = f"{_NOBODY} {_NOBODY} 1\n" if user == 0 and own != _NOBODY else ""
            _write(f"/proc/{pid}/{name}", f"{own} {own} 1\n{nobody}")
    except OSError:
        return False
    return True


def make_root(folder: str, megabytes: int) -> None:
    """Make `folder` the root of a file system that holds the system's libraries, read-only, and /tmp.

    /tmp is empty, writable, in memory and the working directory. Nothing else of the machine is there: no
    home directories, no /proc, no /sys, no sockets.

    Args:
        folder: An existing empty directory.
        megabytes: Size of /tmp.

    Raises:
        IsolationError: The system refuses.
    """
    _mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    _mount("tmpfs", folder, "tmpfs", _MS_NOSUID | _MS_NODEV, "size=1m,mode=755")
    interpreter = os.path.dirname(os.path.realpath(sys.executable))
    for path in _outermost([*_SYSTEM, sys.base_prefix, sys.base_exec_prefix, interpreter]):
        _expose(path, folder)
    for device in _DEVICES:
        if os.path.exists(device):
            _bind(device, folder + device, _ATTR_NOSUID)
    work = folder + "/tmp"  # noqa: S108  (of a root that only this process sees)
    os.makedirs(work, exist_ok=True)
    _mount("tmpfs", folder, None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID | _MS_NODEV)
    _mount("tmpfs", work, "tmpfs", _MS_NOSUID | _MS_NODEV, f"size={megabytes}m,nr_inodes=10000,mode=1777")
    os.chdir(folder)
    _system_call(_SYS_PIVOT_ROOT, ctypes.c_char_p(b"."), ctypes.c_char_p(b"."), step="change the root")
    _libc_call("umount2", ctypes.c_char_p(b"."), ctypes.c_int(_MNT_DETACH), step="leave the old root")
    os.chdir("/tmp")  # noqa: S108


def become_powerless() -> None:
    """Drop root for nobody and every capability, for this process and all that it will start.

    Raises:
        IsolationError: The system refuses.
    """
    if os.geteuid() == 0:
        try:
            os.setgroups([])
            os.setresgid(_NOBODY, _NOBODY, _NOBODY)
            os.setresuid(_NOBODY, _NOBODY, _NOBODY)
        except OSError as error:
            raise IsolationError(f"cannot become nobody: {error.strerror}") from None
    if sys.platform == "linux":
        header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
        nothing = ctypes.c_char_p(bytes(24))
        _system_call(_SYS_CAPSET, ctypes.c_char_p(header), nothing, step="drop capabilities")
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def unreadable_memory() -> None:
    """Let no process of the same user read or trace this one; it also dies with its parent."""
    if sys.platform == "linux":
        _prctl(_PR_SET_DUMPABLE, 0)
        _die_with_parent()


def limit(limits: Mapping[str, int], isolated: bool) -> None:
    """Put the limits on this process and its children.

    Args:
        limits: `cpu` in seconds, `memory` and `file` in megabytes, `processes`.
        isolated: Whether this user's processes are counted in this sandbox alone.
    """
    megabyte = 1 << 20
    processes = limits["processes"] + 1  # the one that runs the tests
    _limit(resource.RLIMIT_CPU, limits["cpu"], limits["cpu"] + 1)
    _limit(resource.RLIMIT_AS, limits["memory"] * megabyte)
    _limit(resource.RLIMIT_FSIZE, limits["file"] * megabyte)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, 64)
    _limit(resource.RLIMIT_NPROC, processes if isolated else processes + _running())


def _limit(kind: int, soft: int, hard: int | None = None) -> None:
    _, most = resource.getrlimit(kind)
    wanted = soft if hard is None else hard
    ceiling = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
    resource.setrlimit(kind, (min(soft, ceiling), ceiling))


def _running() -> int:
    """Count this user's threads, which share one limit where there is no namespace."""
    count, user = 0, os.getuid()
    try:
        for name in os.listdir("/proc"):
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == user:
                count += len(os.listdir(f"/proc/{name}/task"))
    except OSError:
        count = max(count, 1000)  # it ended meanwhile, or there is no /proc
    return count


def _outermost(paths: Sequence[str]) -> list[str]:
    """Return the paths that exist and lie in no other one of them."""
    existing = {os.path.normpath(path) for path in paths if os.path.exists(path)}
    return sorted(
        path for path in existing if not any(path.startswith(other.rstrip("/") + "/") for other in existing)
    )


def _expose(path: str, folder: str) -> None:
    if os.path.islink(path):
        os.makedirs(os.path.dirname(folder + path), exist_ok=True)
        os.symlink(os.readlink(path), folder + path)
    else:
        _bind(path, folder + path, _ATTR_RDONLY | _ATTR_NOSUID | _ATTR_NODEV)


def _bind(source: str, target: str, attributes: int) -> None:
    os.makedirs(target if os.path.isdir(source) else os.path.dirname(target), exist_ok=True)
    if not os.path.isdir(source):
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY))
    _mount(source, target, None, _MS_BIND | _MS_REC)
    wanted = struct.pack("QQQQ", attributes, 0, 0, 0)
    _libc_call(
        "syscall",
        ctypes.c_long(_SYS_MOUNT_SETATTR),
        ctypes.c_int(_AT_FDCWD),
        ctypes.c_char_p(os.fsencode(target)),
        ctypes.c_uint(_AT_RECURSIVE),
        ctypes.c_char_p(wanted),
        ctypes.c_size_t(len(wanted)),
        step=f"make {source} read-only (Linux 5.12 or newer)",
    )


def _mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    def text(value: str | None) -> ctypes.c_char_p:
        return ctypes.c_char_p(None if value is None else os.fsencode(value))

    arguments = (text(source), text(target), text(kind), ctypes.c_ulong(flags), text(options))
    _libc_call("mount", *arguments, step=f"mount {target}")


def _system_call(numbers: Mapping[str, int], *arguments: object, step: str) -> None:
    machine = os.uname().machine
    if machine not in numbers:
        raise IsolationError(f"cannot {step}: the system call's number on {machine} is not known here")
    _libc_call("syscall", ctypes.c_long(numbers[machine]), *arguments, step=step)


def _libc_call(name: str, *arguments: object, step: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        raise IsolationError(f"cannot {step}: {os.strerror(ctypes.get_errno())}")


def _prctl(option: int, value: int) -> None:
    zero = ctypes.c_ulong(0)
    _libc_call("prctl", ctypes.c_int(option), ctypes.c_ulong(value), zero, zero, zero, step="call prctl")


def _die_with_parent() -> None:
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
