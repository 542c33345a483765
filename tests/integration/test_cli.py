"""The contract of the command line: exit statuses, sentences, JSON, what each verb does to what is there."""
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest
from support.screen import Screen
from support.waiting import wait_until

NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]
VERBS_FOR_ROOT = ["ps", "images", "run busybox", "create busybox", "start web", "exec web", "stop web", "rm web",
                  "kill web", "wait web", "logs web", "inspect web", "top web", "stats", "events", "sessions",
                  "attach web", "rmi web", "rmcache", "demo", "build web"]
# What the shell and the kernel let through as an argument, and what must never become a name.
BAD_NAMES = ["../x", "a" * 300, "", " ", "two words", "\x1b[31mred", "web\n", ".hidden", "-x", "a/b", "Web", "käse",
             b"\xff"]


@pytest.fixture
def as_nobody(conductor):
    """Runs a verb without root: a copy of the programs, since the way to the built ones may be root's own."""
    directory = Path(tempfile.mkdtemp(prefix="ct-", dir="/var/tmp"))
    directory.chmod(0o755)
    for program in conductor.program.parent.glob("conductor*"):
        if program.is_file():
            shutil.copy(program, directory)

    def run(*arguments, **options):
        return subprocess.run(NOBODY + [str(directory / "conductor"), *arguments], text=True, capture_output=True,
                              timeout=30, input="", **options)

    yield run
    shutil.rmtree(directory)


# ---- without anything

def test_no_verb_and_no_terminal_prints_the_help_and_exits_2(conductor):
    done = subprocess.run([str(conductor.program)], text=True, capture_output=True, input="", timeout=30)
    assert done.returncode == 2
    assert "usage: conductor" in done.stderr


def test_version_in_both_forms(conductor):
    assert re.fullmatch(r"conductor \d+\.\d+\.\d+\n", conductor.ok("version"))
    assert re.fullmatch(r"\d+\.\d+\.\d+", conductor.json("version")["version"])


@pytest.mark.parametrize("words", ["run", "rm", "ps extra", "frobnicate", "run --frob x", "run a b c", "stop x -t",
                                   "run x --memory lots", "ps --filter colour=red", "completion tcsh", "logs x --since never",
                                   "--events 99 ps", "--explain=loud ps", "run x --network bridge"])
def test_wrong_usage_exits_2_and_shows_the_right_one(conductor, words):
    message = conductor.fails(*words.split(), status=2)
    assert message.startswith("conductor: ")
    assert "usage: conductor" in message


def test_third_word_says_where_the_dashes_belong(conductor):
    message = conductor.fails("run", "busybox", "web", "ls", "-l", status=2)
    assert "put -- before the command" in message
    assert "conductor run busybox web -- ls -l" in message


@pytest.mark.parametrize("words,right", [("run -e A=1 busybox", "--env K=V"), ("run -p 80:80 busybox", "--expose 80-8080"),
                                         ("exec web -e A=1", "--env K=V"), ("run --name web busybox", "run IMAGE NAME")])
def test_spellings_of_other_programs_are_answered(conductor, words, right):
    assert right in conductor.fails(*words.split(), status=2)


def test_errors_as_json_have_message_hint_and_errno(conductor):
    error = json.loads(conductor.fails("--json", "stop", "nothing-here"))["error"]
    assert set(error) == {"message", "hint", "errno"}
    assert "nothing-here" in error["message"]


def test_usage_error_is_json_when_asked_for_behind_the_mistake(conductor):
    assert json.loads(conductor.fails("run", "--frob", "--json", status=2))["error"]["message"]


def test_every_verb_has_a_help_page(conductor):
    overview = conductor.ok("help")
    verbs = re.findall(r"^  ([a-z]+)(?: [\[A-Z].*?)?  +\S", overview, re.M)
    assert {"run", "ps", "build", "doctor"} <= set(verbs)
    for verb in verbs:
        assert conductor.ok("help", verb).startswith(f"usage: conductor {verb}")
        assert conductor.ok(verb, "--help") == conductor.ok("help", verb)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(conductor, shell):
    script = conductor.ok("completion", shell)
    assert "frobnicate" not in script and "addnetwork" in script and "restart" in script
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


@pytest.mark.parametrize("words, expected", [
    (["sto"], "stop"), (["run", "--hostn"], "--hostname"), (["--root", "/x", "sto"], "stop"), (["--json", "sto"], "stop"),
    (["--root", "=", "/x", "sto"], "stop"),
    (["run", "--network", ""], "none host"), (["run", "-m", "1G", "--hostn"], "--hostname"), (["completion", "z"], "zsh")],
    ids=lambda value: value if isinstance(value, str) else " ".join(value))
def test_bash_completes(conductor, words, expected):
    script = conductor.ok("completion", "bash")
    ask = 'COMP_WORDS=(conductor "$@"); COMP_CWORD=$#; _conductor; echo "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", script + "\n" + ask, "bash", *words], text=True, capture_output=True, check=True)
    assert done.stdout.strip() == expected


@pytest.fixture
def shell_environment(conductor):
    """Where `conductor` is the one under test, and nothing of the user's own shells is read."""
    return {**conductor.environment, "PATH": f"{conductor.program.parent}:{os.environ['PATH']}", "PS1": "$ ",
            "HOME": str(conductor.directory), "ZDOTDIR": str(conductor.directory)}


COMPLETIONS = [("sto", "stop"), ("--json sto", "stop"), ("--root /x sto", "stop"), ("--root=/x sto", "stop"),
               ("--root /x ps --fil", "--filter"), ("run --hostn", "--hostname")]


@pytest.mark.parametrize("typed,expected", COMPLETIONS)
def test_zsh_completes(conductor, shell_environment, typed, expected):
    screen = Screen(["zsh", "-f"], environment=shell_environment)
    conductor.screens.append(screen)
    screen.send("autoload -U compinit && compinit -D -u && source <(conductor completion zsh) && echo rea''dy\r")
    screen.wait_for(lambda: "ready" in screen.lines)
    screen.send(f"conductor {typed}\t")
    screen.wait_for(lambda: any(re.search(rf" {expected}=?$", line) for line in screen.lines))


@pytest.mark.parametrize("typed,expected", COMPLETIONS)
def test_fish_completes(conductor, shell_environment, typed, expected):
    script = conductor.directory / "completion.fish"
    script.write_text(conductor.ok("completion", "fish"))
    done = subprocess.run(["fish", "--no-config", "-c", f"source {script}; complete -C 'conductor {typed}'"], text=True,
                          capture_output=True, check=True, env=shell_environment, timeout=30)
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == [expected], done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_names_are_those_of_the_root_that_was_typed(box, shell_environment, shell):
    box.ok("create", box.image, "webserver")
    screen = Screen({"bash": ["bash", "--norc", "--noprofile"], "zsh": ["zsh", "-f"], "fish": ["fish", "--no-config"]}[shell],
                    columns=200, environment=shell_environment)
    box.screens.append(screen)
    begin = {"bash": "source <(conductor completion bash)", "fish": "conductor completion fish | source",
             "zsh": "autoload -U compinit && compinit -D -u && source <(conductor completion zsh)"}[shell]
    screen.send(f"{begin}; echo rea''dy\r")
    screen.wait_for(lambda: "ready" in screen.lines)
    screen.send(f"conductor --root {box.root} --run {box.run_directory} rm web\t")
    screen.wait_for(lambda: any(line.endswith(" rm webserver") for line in screen.lines))


def test_manual_page_is_clean_roff(conductor):
    page = conductor.ok("help", "--man")
    assert page.startswith(".TH CONDUCTOR 1")
    if os.path.exists("/usr/bin/groff"):
        done = subprocess.run(["groff", "-man", "-Tutf8", "-ww"], input=page, text=True, capture_output=True, check=True)
        assert done.stderr == ""


def test_configuration_is_shown_with_its_origin(conductor):
    file = conductor.directory / "config.json"
    file.write_text('{\n  // grace\n  "stop_seconds": 3\n}\n')
    values = conductor.json("config", "--config", file)
    assert values["stop_seconds"] == {"value": 3, "origin": f"{file}:3"}
    assert values["default_base"]["origin"] == "default"


def test_unknown_key_of_the_configuration_is_named_with_file_and_line(conductor):
    file = conductor.directory / "config.json"
    file.write_text('{\n  "stop_secs": 3\n}\n')
    assert f"{file}:2" in conductor.fails("config", "--config", file)


def test_doctor_finds_this_host_fit(conductor):
    checks = {c["check"]: c["health"] for c in conductor.json("doctor")}
    assert checks["root"] == checks["kernel"] == checks["overlay"] == checks["leftovers"] == "ok"


# ---- without root

def test_without_root_a_clear_sentence_and_exit_1(as_nobody):
    for verb in VERBS_FOR_ROOT:
        done = as_nobody(*verb.split())
        assert done.returncode == 1, verb
        assert "needs root" in done.stderr and "sudo conductor" in done.stderr
        assert done.stdout == ""


def test_without_root_help_version_and_completion_work(as_nobody):
    for verb in ["help", "help run", "version", "completion bash", "config"]:
        assert as_nobody(*verb.split()).returncode == 0, verb


# ---- bad names

@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
def test_bad_name_is_refused_before_anything_is_made(box, name):
    done = subprocess.run([*box.command("create", box.image), name], capture_output=True, text=True, input="", timeout=30)
    assert done.returncode == 2
    assert done.stderr.startswith("conductor: ")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", done.stderr)
    assert box.json("ps", "-a") == []


@pytest.mark.parametrize("words", ["rm ../x", "create busybox ../x", "logs ../x"])
def test_bad_name_is_answered_with_what_names_look_like(conductor, words):
    first = conductor.fails(*words.split(), status=2).splitlines()[0]
    assert first.startswith("conductor: '../x' cannot be a container's name: names begin with a-z or 0-9")


@pytest.mark.parametrize("verb", ["start", "stop", "rm", "inspect", "logs", "exec"])
@pytest.mark.parametrize("name", ["../x", "\x1b[2J", "nothing"], ids=ascii)
def test_name_that_is_nobodys_is_an_error_with_a_sentence(conductor, verb, name):
    done = conductor.run(verb, name)
    assert done.returncode in (1, 2, 125)
    assert done.stderr.startswith("conductor: ")
    assert "\x1b" not in done.stderr


def test_near_name_is_the_hint(box):
    box.ok("create", box.image, "webserver")
    assert "webserver" in box.fails("rm", "webservr")


# ---- what verbs do

def test_run_ends_with_the_status_of_the_command(box):
    assert box.run("run", "--rm", box.image, "--", "true").returncode == 0
    assert box.run("run", "--rm", box.image, "--", "sh", "-c", "exit 7").returncode == 7


def test_command_that_is_not_there_is_127_and_one_that_cannot_run_126(box):
    assert box.run("run", "--rm", box.image, "--", "no-such-program").returncode == 127
    assert box.run("run", "--rm", box.image, "--", "/etc").returncode == 126
    assert box.json("ps", "-a") == []


def test_verbs_without_a_commands_status_end_with_1(box):
    """125 to 127 are for run, exec and wait alone."""
    box.ok("create", box.image, "lost", "--", "/no/such/program")
    assert "no such file" in box.fails("start", "lost", status=1)
    assert "not running" in box.fails("attach", "lost", status=1)
    box.fails("start", "lost", "nothing", status=1)
    box.fails("attach", "nothing", status=1)
    assert box.run("wait", "nothing").returncode == 125


def test_attach_ends_with_the_status_of_the_command(box):
    box.ok("run", "-d", "-i", box.image, "web", "--", "sh", "-c", "read line; exit 7")
    assert box.run("attach", "web", input="go\n").returncode == 7


def test_failure_of_conductor_itself_in_run_is_125(box):
    box.ok("create", box.image, "web")
    message = box.fails("run", box.image, "web", status=125)
    assert "exists already" in message
    assert box.run("exec", "web", "--", "true").returncode == 125


def test_image_that_is_nowhere_is_an_error(conductor):
    assert conductor.run("run", "no-such-image").returncode == 125
    assert "no-such-image" in conductor.fails("create", "--pull", "never", "no-such-image")


def test_streams_are_kept_apart_and_stdin_arrives(box):
    done = box.run("run", "--rm", box.image, "--", "sh", "-c", "cat; echo err >&2", input="in\n")
    assert (done.stdout, done.stderr) == ("in\n", "err\n")


def test_detached_run_prints_the_name_and_nothing_else(box):
    assert box.ok("run", "-d", box.image, "web", "--", "sleep", "1000") == "web\n"
    chosen = box.ok("run", "-d", box.image, "--", "sleep", "1000").strip()
    assert chosen != "web" and re.fullmatch(r"[a-z0-9][a-z0-9_.-]{0,62}", chosen)
    assert {c["name"] for c in box.json("ps")} == {"web", chosen}


def test_ps_json_has_the_shape_of_the_contract(box):
    box.ok("run", "-d", box.image, "web", "--memory", "64M", "--", "sleep", "1000")
    (row,) = box.json("ps")
    assert set(row) >= {"name", "id", "image", "state", "pid", "exit_code", "oom_killed", "created", "started", "finished",
                        "command", "networks", "limits"}
    assert row["state"] == "running" and os.path.exists(f"/proc/{row['pid']}")
    assert row["limits"] == {"memory_bytes": 64 << 20, "cpus": None, "pids": None}
    assert row["command"] == ["sleep", "1000"]
    assert json.loads(box.ok("inspect", "web"))["id"] == row["id"]


def test_ps_lists_and_filters(box):
    box.ok("create", box.image, "made", "--label", "tier=db")
    box.ok("run", "-d", box.image, "runs", "--", "sleep", "1000")
    assert box.ok("ps", "-q") == "runs\n"
    assert set(box.ok("ps", "-aq").split()) == {"made", "runs"}
    assert box.ok("ps", "-aq", "--filter", "label=tier=db") == "made\n"
    assert box.ok("ps", "-q", "--filter", "state=created") == "made\n"
    table = box.ok("ps", "-a").splitlines()
    assert table[0].split() == ["NAME", "IMAGE", "STATE", "PID", "COMMAND"]
    assert len(table) == 3


def test_id_stands_wherever_a_name_does(box):
    box.ok("create", box.image, "web")
    identity = box.json("ps", "-a")[0]["id"]
    assert json.loads(box.ok("inspect", f"id:{identity[:8]}"))["name"] == "web"
    box.ok("rm", f"id:{identity}")


def test_life_of_a_container(box):
    box.ok("create", box.image, "web", "--", "sleep", "1000")
    assert box.state("web") == "created"
    box.ok("start", "web")
    assert box.state("web") == "running"
    assert "web" in box.fails("rm", "web")
    assert box.run("exec", "web", "--", "sh", "-c", "exit 3").returncode == 3
    box.ok("stop", "--keep", "web")
    assert box.state("web") == "exited"
    box.ok("start", "web")
    box.ok("stop", "web")
    assert box.state("web") is None


def test_several_names_go_on_after_a_failure(box):
    box.ok("create", box.image, "one")
    box.ok("create", box.image, "two")
    message = box.fails("rm", "one", "missing", "two")
    assert "missing" in message
    assert box.json("ps", "-a") == []


def test_wait_ends_with_the_containers_status(box):
    box.ok("run", "-d", box.image, "web", "--", "sleep", "1000")
    waiting = box.start("wait", "web")
    box.ok("kill", "web")
    assert waiting.wait(timeout=10) == 137
    waiting.communicate()


def test_logs_are_what_was_written(box):
    box.run("run", box.image, "web", "--", "sh", "-c", "for i in 1 2 3; do echo line $i; done; echo bad >&2")
    done = box.run("logs", "web")
    assert done.stdout == "line 1\nline 2\nline 3\n" and done.stderr == "bad\n"
    assert box.run("logs", "--tail", "2", "web").stdout + box.run("logs", "--tail", "2", "web").stderr == "line 3\nbad\n"
    assert re.match(r"\d{4}-\d\d-\d\dT", box.ok("logs", "-t", "web"))


def test_followed_log_ends_with_the_container(box):
    box.ok("run", "-d", "-i", box.image, "web", "--", "sh", "-c", "echo ready; sleep 1000")
    following = box.start("logs", "-f", "web")
    assert following.stdout.readline() == "ready\n"
    box.ok("kill", "web")
    assert following.wait(timeout=10) == 0
    following.communicate()


def test_escape_sequences_of_a_log_reach_a_pipe_only(box):
    box.run("run", box.image, "web", "--", "printf", r"\033]0;evil\007\033[31mred\n")
    assert "\x1b]0;evil\x07" in box.ok("logs", "web")
    screen = box.screen("logs", "web")
    wait_until(lambda: "red" in screen.text, 10, lambda: screen.text)
    assert "\\x1b]0;evil" in screen.text


def test_top_and_stats_have_the_shapes_of_the_contract(box):
    box.ok("run", "-d", box.image, "web", "--", "sleep", "1000")
    (process,) = box.json("top", "web")
    assert set(process) >= {"pid", "host_pid", "ppid", "user", "state", "cpu_percent", "rss_bytes", "command"}
    assert process["pid"] == 1 and process["command"] == "sleep 1000"
    (row,) = box.json("stats")
    assert set(row) >= {"name", "cpu_percent", "memory_bytes", "memory_limit_bytes", "pids", "throttled_percent",
                        "io_read_bytes", "io_write_bytes", "interfaces"}
    assert row["pids"] == 1


def test_images_json_has_the_shape_of_the_contract(box):
    box.ok("create", box.image, "web")
    row = next(r for r in box.json("images") if r["name"].startswith(box.image))
    assert set(row) >= {"name", "id", "size_bytes", "layers", "created", "base", "used_by"}
    assert row["used_by"] == ["web"]
    assert "web" in box.fails("rmi", box.image)


def test_events_tell_the_life_of_a_container(box):
    box.ok("run", "-d", box.image, "web", "--", "sleep", "1000")
    box.ok("stop", "web")
    verbs = [e["verb"] for e in box.json("events") if e["name"] == "web"]
    assert verbs[0] == "create" and "start" in verbs


def test_followed_events_come_as_they_happen(box):
    following = box.start("events", "-f", "--tail", "1", "--json")
    assert json.loads(following.stdout.readline())["verb"]
    box.ok("create", box.image, "web")
    wait_until(lambda: json.loads(following.stdout.readline())["name"] == "web", 10, "the event")
    following.send_signal(signal.SIGINT)
    assert following.wait(timeout=10) == -signal.SIGINT
    following.communicate()


def test_output_that_cannot_be_written_is_an_error(conductor):
    with open("/dev/full", "w") as full:
        done = subprocess.run(conductor.command("help"), stdout=full, stderr=subprocess.PIPE, text=True, timeout=30)
    assert done.returncode == 1 and "No space left" in done.stderr


def test_reader_that_has_seen_enough_is_no_error(conductor):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(conductor.command("help"), stdout=write, stderr=subprocess.PIPE, text=True, timeout=30)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


def test_terminal_sees_no_colour_when_it_wants_none(conductor):
    screen = conductor.screen("--explain", "doctor", env={"NO_COLOR": "1"})
    wait_until(lambda: "leftovers" in screen.text or "crashed operations" in screen.text, 10, lambda: screen.text)
    assert "\x1b[3" not in screen.text
