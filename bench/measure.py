"""Runs one command and prints what it cost as a JSON object: `python measure.py COMMAND [ARGUMENT...]`.

wall_s    from just before the start of the process to its exit
cpu_s     user and system time of the process and of all its descendants (they are adopted, where the system can)
peak_rss  bytes: the highest sum of the resident sets of the process and its descendants. Sampled every 50 ms where
          there is a /proc, and never less than the peak that the kernel noted for the largest single process.
          Pages shared between processes, and pages of files that a process maps, count for each.
peak_anon bytes: the same sum without pages of files and shared memory; 0 where there is no /proc
peak_process bytes: the most that one process of the tree was resident with
exit, stdout, stderr  of the process
"""

import ctypes
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time

SAMPLE_S = 0.05
#: The tree of processes is walked anew every so many samples; in between only the known ones are read.
SAMPLES_PER_WALK = 4
PAGE = os.sysconf("SC_PAGE_SIZE")
PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Lets descendants whose parent has ended become ours, so that their CPU time is counted too (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(pid: int) -> list[int]:
    """The process and all that came from it."""
    found, queue = [], [pid]
    while queue:
        current = queue.pop()
        found.append(current)
        try:
            for task in os.listdir(f"/proc/{current}/task"):
                with open(f"/proc/{current}/task/{task}/children") as children:
                    queue.extend(int(child) for child in children.read().split())
        except OSError:
            continue
    return found


class Sampler(threading.Thread):
    """Notes the highest sums of resident memory until `done` is set."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.done = pid, threading.Event()
        self.rss = self.anon = self.process = 0

    def run(self) -> None:
        sample, pids = 0, [self.pid]
        while not self.done.wait(SAMPLE_S):
            if sample % SAMPLES_PER_WALK == 0:
                pids = descendants(self.pid)
            sample += 1
            rss = anon = 0
            for pid in pids:
                try:
                    with open(f"/proc/{pid}/statm") as statm:
                        _, resident, shared = (int(field) for field in statm.read().split()[:3])
                except OSError:
                    continue
                rss += resident * PAGE
                self.process = max(self.process, resident * PAGE)
                anon += (resident - shared) * PAGE
            self.rss, self.anon = max(self.rss, rss), max(self.anon, anon)


def main(command: list[str]) -> None:
    adopt_orphans()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        sampler = Sampler(process.pid)
        sampler.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        sampler.done.set()
        sampler.join()
        while True:  # descendants that outlived the process
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                break
        total = resource.getrusage(resource.RUSAGE_CHILDREN)
        texts = {}
        for name, file in (("stdout", out), ("stderr", err)):
            file.seek(0)
            texts[name] = file.read().decode(errors="replace")
        # Of the process and of the descendants that were waited for, whichever had most.
        largest = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        print(
            json.dumps(
                {
                    "wall_s": wall,
                    "cpu_s": total.ru_utime + total.ru_stime,
                    "peak_rss": max(sampler.rss, largest),
                    "peak_anon": sampler.anon,
                    "peak_process": max(sampler.process, largest),
                    "exit": process.returncode,
                    **texts,
                }
            )
        )


if __name__ == "__main__":
    main(sys.argv[1:])
