"""Runs one program and ends it when its owner is gone, even if the owner was killed with SIGKILL.

Started by `local.embedded.guarded` as a script of its own, with the standard library only, because it must be
small and must survive its owner by the moment it takes to stop the program and to remove its temporary
directory. Should the guard itself be killed, the kernel sends the program `--death-signal` (Linux).
"""

import argparse
import contextlib
import ctypes
import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1
PR_SET_SECUREBITS = 28
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
SECBIT_NO_SETUID_FIXUP = 1 << 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522
STOP_SECONDS = 30.0
POLL_SECONDS = 0.25


def drop_root(user: str) -> None:
    """Become `user`, but keep the right to walk through directories that only root may enter.

    PostgreSQL refuses to run as root, while its program and data may lie under a home directory closed to
    everybody else. One kept capability spares us from opening such directories to the whole machine. Where
    the kernel refuses it, the program still works in directories that are open anyway.
    """
    account = pwd.getpwnam(user)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    os.setgroups([])
    os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
    os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
    if sys.platform == "linux":
        mask = 1 << CAP_DAC_OVERRIDE
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
        libc.capset(header, (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0))
        libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


def in_child(user: str, death_signal: int) -> Callable[[], None]:
    """What the child does between fork and exec."""

    def prepare() -> None:
        if user:
            drop_root(user)
        # SIGINT stays ignored across exec, and programs that stop on Ctrl-C want it.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if sys.platform == "linux":
            # After the change of user, which clears the setting.
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)

    return prepare


def alive(pid: int) -> bool:
    """Whether the process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class Watch:
    """Sleeps until the owner ends or a signal arrives; a quarter second where the kernel cannot tell."""

    def __init__(self, owner: int) -> None:
        self._owner = owner
        self._wakeup, write_end = os.pipe()
        os.set_blocking(write_end, False)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        self._descriptors = [self._wakeup]
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):
                self._descriptors.append(os.pidfd_open(owner))

    def owner_ended(self) -> bool:
        """Wait a little and say whether the owner is gone."""
        ready = select.select(self._descriptors, [], [], POLL_SECONDS)[0]
        if self._wakeup in ready:
            os.read(self._wakeup, 4096)
        if len(self._descriptors) == 1:
            return not alive(self._owner)
        return self._descriptors[-1] in ready


def stop(program: "subprocess.Popen[bytes]", stop_signal: int, last_resort: int) -> None:
    """End the program politely, then not."""
    for number in (stop_signal, last_resort, signal.SIGKILL):
        if program.poll() is not None:
            return
        program.send_signal(number)
        try:
            program.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            continue


def arguments() -> argparse.Namespace:
    """The command line, which only `local.embedded.guarded` writes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--owner", type=int, required=True)
    parser.add_argument("--report", type=int, required=True, help="open descriptor for the process id")
    parser.add_argument("--user", default="")
    parser.add_argument("--stop-signal", type=int, required=True)
    parser.add_argument("--death-signal", type=int, required=True)
    parser.add_argument(
        "--remove", default="", help="directory to delete if the owner ended without doing so"
    )
    parser.add_argument("command", nargs="+")
    return parser.parse_args()


def main() -> int:
    """Start the program, report its process id, wait for it or for its owner to end."""
    options = arguments()
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopping.append(number))
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    watch = Watch(options.owner)
    prepare = in_child(options.user, options.death_signal)
    program = subprocess.Popen(
        options.command,
        stdin=subprocess.DEVNULL,
        preexec_fn=prepare,  # noqa: PLW1509 - the guard has one thread
    )
    os.write(options.report, f"{program.pid}\n".encode())
    os.close(options.report)
    abandoned = False
    while program.poll() is None and not stopping and not abandoned:
        abandoned = watch.owner_ended()
    stop(program, options.stop_signal, options.death_signal)
    if options.remove and (abandoned or not alive(options.owner)):
        shutil.rmtree(options.remove, ignore_errors=True)
    return program.returncode if program.returncode >= 0 else 128 - program.returncode


if __name__ == "__main__":
    raise SystemExit(main())
