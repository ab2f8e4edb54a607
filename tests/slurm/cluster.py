"""A one-node Slurm cluster on this machine, run by the user of the tests in one folder."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
# srun in a job loses SLURM_CONF, so wrappers in PATH set it again
COMMANDS = ("sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo", "sacct")
SYSTEM = "/usr/sbin:/usr/local/sbin:/sbin"
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={controller}
SlurmdPort={node}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmdParameters=config_overrides
# no control groups, no accounting
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=1
ReturnToService=2
# an urgent job takes the place of others, which go back into the queue
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=16000 State=UNKNOWN
PartitionName=usual Nodes={host} Default=YES State=UP PriorityTier=1 PreemptMode=REQUEUE
PartitionName=urgent Nodes={host} State=UP PriorityTier=2 PreemptMode=OFF
"""


def missing():
    """Return the programs that Slurm needs and that are not installed."""
    return [name for name in (*DAEMONS, *COMMANDS) if _found(name) is None]


def _found(name):
    return shutil.which(name, path=f"{os.environ['PATH']}:{SYSTEM}")


def _user():
    return pwd.getpwuid(os.getuid()).pw_name


def wait_for(what, seconds=300):
    """Wait until a function returns a true value; return the value."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.2)
    raise TimeoutError(f"{seconds} s")


class Cluster:
    """A context manager that starts Slurm, and always stops all its processes."""

    def __enter__(self):
        # a short name, because the path of a socket has at most 107 characters
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-"))
        self.started = []
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.started:
            self._quietly("scancel", "--user", _user())
            # jobs have half a minute to end, and their steps have to report it
            with suppress(TimeoutError):
                wait_for(lambda: not self._stepping(), 60)
        for process in reversed(self.started):
            process.terminate()
        for process in reversed(self.started):
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for number in self._strays():
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self):
        """Return the environment variables for finding this Slurm."""
        return {"PATH": f"{self.folder}/bin:{os.environ['PATH']}"}

    def run(self, *command):
        """Run a command of Slurm; return its output."""
        done = subprocess.run(
            [self.folder / "bin" / command[0], *command[1:]],
            env={**os.environ, **self.environment()},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def jobs(self):
        """Return the pending and running jobs, as {number: state}."""
        lines = self.run("squeue", "--noheader", "--format=%i %T").split("\n")
        return dict(line.split() for line in lines if line)

    def job(self, number):
        """Return Slurm's description of a job, as {key: value}."""
        words = self.run("scontrol", "--oneliner", "show", "job", number).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def preempt(self):
        """Submit an urgent job that takes the whole node for a second."""
        script = "--wrap=sleep 1"
        self.run("sbatch", "--partition=urgent", "--exclusive", "--output=/dev/null", script)

    def _start(self):
        for name in ("bin", "state", "spool"):
            (self.folder / name).mkdir()
        (self.folder / "munge.key").write_bytes(secrets.token_bytes(1024))
        (self.folder / "munge.key").chmod(0o400)
        settings = {
            "host": socket.gethostname().split(".")[0],
            "user": _user(),
            "folder": self.folder,
        }
        settings |= dict(zip(("controller", "node"), _free_ports(2), strict=True))
        configuration = self.folder / "slurm.conf"
        configuration.write_text(CONFIGURATION.format(**settings))
        for name in COMMANDS:
            script = self.folder / "bin" / name
            script.write_text(f'#!/bin/sh\nSLURM_CONF={configuration} exec {_found(name)} "$@"\n')
            script.chmod(0o755)
        own = {key: self.folder / f"munge.{key}" for key in ("key", "socket", "pid", "log", "seed")}
        self._daemon(
            "munged", "--foreground", "--force",
            f"--key-file={own['key']}", f"--socket={own['socket']}", f"--pid-file={own['pid']}",
            f"--log-file={own['log']}", f"--seed-file={own['seed']}",
        )  # fmt: skip
        wait_for(own["socket"].exists, 20)
        self._daemon("slurmctld", "-D", "-f", str(configuration))
        self._daemon("slurmd", "-D", "-f", str(configuration))
        wait_for(lambda: self._quietly("sinfo", "--noheader", "--format=%t").strip() == "idle", 60)

    def _daemon(self, name, *arguments):
        log = (self.folder / f"{name}.out").open("w")
        command = [_found(name), *arguments]
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        self.started.append(process)

    def _quietly(self, *command):
        """Run a command of Slurm that may fail; return its output."""
        try:
            return self.run(*command)
        except (AssertionError, OSError, subprocess.TimeoutExpired):
            return ""

    def _stepping(self):
        """Return whether a job step still runs; each has a socket in the folder of the node."""
        return any(path.is_socket() for path in (self.folder / "spool").iterdir())

    def _strays(self):
        """Return the processes of this Slurm's jobs, which have it in their PATH."""
        mark, found = f"{self.folder}/bin".encode(), []
        for place in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if mark in place.read_bytes():
                    found.append(int(place.parent.name))
        return found


def _free_ports(count):
    """Return unused ports."""
    held = [socket.socket() for _ in range(count)]
    for each in held:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports
