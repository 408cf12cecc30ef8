"""What a process costs, as the kernel counts it: CPU time of all its threads, resident memory."""
import os
import pathlib
import resource
import subprocess
import time

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
MIB = 1024.0 * 1024.0
#: So often a running command's memory is looked at.
LOOK_S = 0.02


def cpu_s(pid):
    """utime and stime of all threads so far, in seconds; the kernel gives them in hundredths."""
    # The name stands in parentheses and may hold spaces.
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def threads_cpu_s(pid):
    """CPU time of the threads that live, to the nanosecond; one that ends in between takes its own along."""
    threads = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def resident_mib(pid, key="VmRSS"):
    """Resident memory just now; with `VmHWM` the most there ever was."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) / 1024.0
    raise LookupError(f"/proc/{pid}/status has no {key}.")


class Usage:
    """The share of one core that a process takes between two moments."""

    def __init__(self, pid):
        self.pid = pid
        self.began, self.cpu_before = time.monotonic(), cpu_s(pid)

    def core_percent(self):
        return 100.0 * (cpu_s(self.pid) - self.cpu_before) / (time.monotonic() - self.began)


class Finished:
    """A command run to its end: its wall time, its CPU time, the most memory it held."""

    def __init__(self, command, environment):
        began = time.monotonic()
        child = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        # The peak of rusage is no use: it begins with what this process, of which the child is a copy at first, ever held.
        self.peak_mib, ended = 0.0, 0
        while not ended:
            try:
                self.peak_mib = max(self.peak_mib, resident_mib(child.pid, "VmHWM"))
            except LookupError:
                # It has ended, and nobody has waited for it yet.
                pass
            time.sleep(LOOK_S)
            ended, status, usage = os.wait4(child.pid, os.WNOHANG)
        self.wall_s = time.monotonic() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(f"{' '.join(map(str, command))} failed with {child.returncode}.")
        self.cpu_s = usage.ru_utime + usage.ru_stime


def allow_many_files():
    """A thousand clients need as many file descriptors."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
