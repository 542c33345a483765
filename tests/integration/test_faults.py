"""Every verb at each of its calls: the call fails, or the verb is killed before it. After a failure all is at once as it
was before; after a kill it is so when `doctor --fix` ran; the next attempt works; and a container that stands beside it,
with a network, has noticed nothing.

Each run samples a few calls of each verb, by a seed that it prints. $CONDUCTOR_FAULTS is how many, or "all";
$CONDUCTOR_FAULT_SEED repeats a run.
"""
import os
import random
import socket
import subprocess
from dataclasses import dataclass
from typing import Callable

import pytest
from support import host
from support.gate import Gated
from support.waiting import wait_until
from test_crash import nothing_remains, wait_until_alone

SLEEP = ["--", "sleep", "1000"]
SEED = int(os.environ.get("CONDUCTOR_FAULT_SEED", random.randrange(10**6)))
POINTS = os.environ.get("CONDUCTOR_FAULTS", "5")
# A verb that has done its work may leave what it then could not take away: it says so, and doctor takes it.
TAKES_AWAY = ["unlinkat", "rmdir", "remove_tree"]
ERRORS = ["ENOMEM", "ENOSPC", "EMFILE", "EPERM", "EIO", "EAGAIN"]


def nothing(box):
    pass


def created(box):
    box.ok("create", box.image, "web", *SLEEP)


def running(box):
    box.ok("run", "-d", box.image, "web", *SLEEP)


def connected(box):
    running(box)
    box.ok("addnetwork", "web")


def unbuilt(box):
    box.run("rmi", "made")
    box.ok("rmcache")


def without_copy(box):
    running(box)
    (box.directory / "out").unlink(missing_ok=True)


def without_volume(box):
    if volumes(box):
        box.ok("rmvolume", "data")


def with_volume(box):
    box.ok("run", "--rm", "-v", "data:/data", box.image, "--", "true")


def volumes(box):
    return [volume["name"] for volume in box.json("volumes")]


def row(box, name="web"):
    return next((c for c in box.json("ps", "-a") if c["name"] == name), None)


def is_in(state):
    return lambda box: (row(box) or {"state": None})["state"] == state


@dataclass
class Verb:
    """words: the verb; before: what makes its situation; done: whether that is what success looks like; whole: a failure
    leaves everything as it was (a stop that has killed cannot give life back)."""
    words: list
    before: Callable = nothing
    done: Callable = lambda box: True
    whole: bool = True


VERBS = {
    "create": Verb(["create", "IMAGE", "web", *SLEEP], done=is_in("created")),
    "start": Verb(["start", "web"], created, is_in("running")),
    "run -d": Verb(["run", "-d", "IMAGE", "web", *SLEEP], done=is_in("running")),
    "run with a check": Verb(["run", "-d", "--memory", "64M", "--health-cmd", "true", "IMAGE", "web", *SLEEP], done=is_in("running")),
    "run --rm": Verb(["run", "--rm", "IMAGE", "web", "--", "true"], done=is_in(None)),
    "run with a network": Verb(["run", "-d", "--internet", "--expose", "80-8080", "IMAGE", "web", *SLEEP], done=is_in("running")),
    "run as root of the host": Verb(["run", "-d", "--init", "--userns", "host", "IMAGE", "web", *SLEEP], done=is_in("running")),
    "exec": Verb(["exec", "web", "--", "true"], running, is_in("running")),
    "stop": Verb(["stop", "-t", "0", "web"], running, is_in(None), whole=False),
    "stop with a network": Verb(["stop", "-t", "0", "web"], connected, is_in(None), whole=False),
    "rm": Verb(["rm", "web"], created, is_in(None), whole=False),
    "build": Verb(["build", "made", "FILE"], unbuilt, lambda box: "made:latest" in [i["name"] for i in box.json("images")]),
    "cp in": Verb(["cp", "FILE", "web:/in"], running, lambda box: box.run("exec", "web", "--", "test", "-s", "/in").returncode == 0),
    "cp out": Verb(["cp", "web:/bin/busybox", "OUT"], without_copy, lambda box: (box.directory / "out").exists()),
    # Not run: what a command may have written into a volume stays, also when its start fails in the end.
    "create with a volume": Verb(["create", "-v", "data:/data", "IMAGE", "web", *SLEEP], without_volume,
                                 lambda box: is_in("created")(box) and volumes(box) == ["data"]),
    "rmvolume": Verb(["rmvolume", "data"], with_volume, lambda box: volumes(box) == [], whole=False),
    "addnetwork": Verb(["addnetwork", "web", "-i", "-e", "80-8080"], running, lambda box: row(box)["networks"] != []),
    "peer": Verb(["peer", "web", "by"], connected, lambda box: row(box)["networks"][0]["peers"] == ["by"]),
}


@pytest.fixture
def box(conductor):
    conductor.image = conductor.busybox_image()
    conductor.file = conductor.directory / "Conductorfile"
    conductor.file.write_text(f"FROM {conductor.image}\nRUN echo made > /made\n")
    conductor.ok("run", "-d", conductor.image, "by", *SLEEP)
    conductor.ok("addnetwork", "by")
    yield conductor


def words_of(box, verb):
    return [{"IMAGE": box.image, "FILE": str(box.file), "OUT": str(box.directory / "out")}.get(word, word) for word in verb.words]


def bystander(box):
    """What it is, and that it answers: nobody listens there, so the answer is a refusal, and at once."""
    by = row(box, "by")
    with socket.socket() as client:
        client.settimeout(10)
        try:
            client.connect((by["networks"][0]["address"], 9))
        except ConnectionRefusedError:
            pass
    return by["state"], by["pid"], by["networks"][0]["address"], by["networks"][0]["host_interface"]


def situation(box, verb):
    """Made anew, everything but the bystander; what of the last one goes behind a verb is gone."""
    if row(box):
        box.ok("rm", "-f", "web")
    verb.before(box)
    nothing_remains(box)
    wait_until_alone(box)


def picture(box):
    """What a verb could leave: what the store and the kernel hold of this root."""
    rules = subprocess.run(["nft", "-s", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
    return {
        "containers": [(c["name"], c["state"], c["networks"]) for c in box.json("ps", "-a")],
        "images": [i["name"] for i in box.json("images")],
        "volumes": volumes(box),
        "copied": (box.directory / "out").exists(),
        "groups": host.cgroups(box.id()),
        "runtime": [str(p) for p in box.run_directory.rglob("*") if p.parent.name in ("c", "ids")],
        "unfinished": [str(p) for p in (box.root / "tmp").glob("*")],
        "links": host.links(),
        "rules": [line for line in rules.splitlines() if "expires" not in line],
        "mounts": [m for m in host.all_mounts() if str(box.directory) in m],
        "processes": [p.split(" ", 1)[1] for p in host.processes_using(box.root, box.run_directory)],
    }


def differences(before, now):
    return {key: (before[key], now[key]) for key in before if before[key] != now[key]}


def is_as_before(box, before, where):
    wait_until(lambda: picture(box) == before, 10, lambda: f"{where}: {differences(before, picture(box))}")


def calls_of(box, verb):
    verb.before(box)
    gated = Gated(box, *words_of(box, verb))
    status, _, error = gated.drive(lambda call: "go")
    assert status == 0, error
    return len(gated.calls)


def points(count, choice):
    numbers = range(count)
    return numbers if POINTS == "all" else sorted(choice.sample(numbers, min(int(POINTS), count)))


def works_now(box, verb, where):
    """The situation made anew where it is no more, and the same verb without any trouble."""
    if not (verb.before is not unbuilt and row(box) and verb.words[0] in ("exec", "addnetwork", "peer", "start", "stop", "rm")):
        situation(box, verb)
    if verb.words[0] == "start" and row(box)["state"] == "running":
        return
    done = box.run(*words_of(box, verb))
    assert done.returncode == 0, f"{where}, and then: {done.stderr}"
    assert verb.done(box), where


@pytest.mark.parametrize("name", VERBS)
def test_call_that_fails(box, name):
    verb, choice = VERBS[name], random.Random(f"{SEED} {name} fails")
    print(f"CONDUCTOR_FAULT_SEED={SEED}")
    stands = bystander(box)
    for number in points(calls_of(box, verb), choice):
        situation(box, verb)
        before, error = picture(box), choice.choice(ERRORS)
        asked = []

        def decide(call):
            asked.append(call)
            return f"fail {error}" if len(asked) == number + 1 else "go"

        status, out, said = Gated(box, *words_of(box, verb)).drive(decide)
        where = f"call {number + 1} failed with {error}: {asked[min(number, len(asked) - 1)]['call']}; status {status}: {said}"
        if status == 0:
            wait_until(lambda: verb.done(box), 10, where)
            if any(call["name"] in TAKES_AWAY for call in asked[number:number + 1]):
                box.ok("doctor", "--fix")
        else:
            assert said.startswith("conductor: ") or "\nconductor: " in said, where
            assert "should not have happened" not in said, where
            if verb.whole and "execve" not in [call["name"] for call in asked[:number]]:
                is_as_before(box, before, where)
            else:  # what could not be taken away is taken by the next one who can
                box.ok("doctor", "--fix")
        nothing_remains(box, where)
        assert bystander(box) == stands, where
        works_now(box, verb, where)


@pytest.mark.parametrize("name", VERBS)
def test_kill_before_a_call(box, name):
    verb, choice = VERBS[name], random.Random(f"{SEED} {name} is killed")
    print(f"CONDUCTOR_FAULT_SEED={SEED}")
    stands = bystander(box)
    for number in points(calls_of(box, verb), choice):
        situation(box, verb)
        gated = Gated(box, *words_of(box, verb))
        gated.kill_before(number, everybody=False)
        where = f"killed before call {number + 1}: {gated.calls[-1]['call']}"
        wait_until_alone(box)  # a child of it that has not seen its end holds its lock: to the doctor it is at work
        box.ok("doctor", "--fix")
        nothing_remains(box, where)
        assert bystander(box) == stands, where
        links = {c["networks"][0]["host_interface"] for c in box.json("ps") if c["networks"]}
        wait_until(lambda: {link for link in host.links() if link.startswith("cond")} <= links, 10, where)
        works_now(box, verb, where)
