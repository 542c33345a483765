#!/usr/bin/python3
"""The census: what is on this host that conductor could have left there.

    census.py                   prints it
    census.py --save FILE       writes it
    census.py --compare FILE    prints what is there now and was not then; exit status 1 if there is anything

The comparison waits up to ten seconds for the last processes to go. Another run of conductor at the same time shows up.
"""
import collections
import glob
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from support import host  # noqa: E402
from support.waiting import wait_until  # noqa: E402

PLACES = ["/run/conductor", "/var/lib/conductor", "/run/netns"]
PATTERNS = ["/tmp/conductor*", "/var/tmp/conductor*", "/dev/shm/conductor*"]


def take():
    return {
        "mounts": host.mounts(),
        "links": host.links(),
        "cgroups": host.cgroups(),
        "processes": host.conductor_processes(),
        "namespaces": namespaces_of_conductor(),
        "files": host.files(*PLACES, *(found for pattern in PATTERNS for found in glob.glob(pattern))),
    }


def namespaces_of_conductor():
    """Namespaces that a file holds (bind mounts of nsfs): those outlive processes. Those of processes go with them."""
    return [mount for mount in host.all_mounts() if "(nsfs " in mount]


def left(before):
    count = collections.Counter
    return {kind: extra for kind, now in take().items()
            if (extra := sorted((count(now) - count(before.get(kind, []))).elements()))}


def main(arguments):
    if not arguments:
        for kind, entries in take().items():
            print(f"{kind} ({len(entries)})", *entries, sep="\n  ")
        return 0
    option, file = arguments
    if option == "--save":
        Path(file).write_text(json.dumps(take()))
        return 0
    before = json.loads(Path(file).read_text())
    try:
        wait_until(lambda: not left(before), deadline=10)
    except AssertionError:
        for kind, entries in left(before).items():
            print(f"left behind, {kind}:", *entries, sep="\n  ")
        return 1
    print("nothing is left behind")
    return 0


sys.exit(main(sys.argv[1:]))
