"""pull and push against Debian's docker-registry: every packing and manifest, platforms, what is fetched and what is not,
and what skopeo, as an independent reader, finds of what we pushed."""
import json
import re
import signal

import pytest

from support.lying_registry import LyingRegistry
from support.oci_image import Image, ARCHITECTURE, box_layer, digest, tar
from support.registry import Registry, TokenServer
from support.waiting import wait_until


@pytest.fixture
def registry(tmp_path):
    made = Registry(tmp_path / "registry")
    yield made
    made.close()


@pytest.fixture
def image():
    return Image([box_layer(), tar({"hello": "hi there\n"})])


@pytest.fixture
def start(tmp_path):
    """start(**options) -> Registry, ended with the test."""
    made = []

    def make(**options):
        made.append(Registry(tmp_path / f"registry-{len(made)}", **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


def fill_as_it_is(registry, image, layout, name):
    """skopeo packs plain layers while it copies; then the image goes there blob by blob."""
    if image.layers[0]["mediaType"].endswith(".tar"):
        for data in image.blobs.values():
            registry.send_blob(name.split(":")[0], data)
        registry.send_manifest(name, image.manifest, image.media_type)
    else:
        registry.fill(image.write_layout(layout), name)


def layers_of(conductor, name):
    return next(i["layers"] for i in conductor.json("images") if i["name"] == name)


@pytest.mark.parametrize("packing", ["gzip", "zstd", ""])
def test_a_pulled_image_runs_whatever_packs_its_layers(conductor, registry, tmp_path, packing):
    image = Image([box_layer(), tar({"hello": "hi there\n"})], packing=packing)
    fill_as_it_is(registry, image, tmp_path / "layout", "team/web:1")
    name = f"{registry.host}/team/web:1"
    [pulled] = conductor.json("pull", name)
    assert pulled["name"] == name and pulled["digest"] == digest(image.manifest)
    assert pulled["new"] is True and pulled["fetched_layers"] == 2
    assert conductor.ok("run", "--rm", name, "--", "cat", "/hello") == "hi there\n"
    # The id of an image is its configuration's digest, that of a layer the digest of its plain archive.
    assert "sha256:" + pulled["id"] == image.document["config"]["digest"]
    assert ["sha256:" + layer for layer in pulled["layers"]] == image.configuration["rootfs"]["diff_ids"]


def test_docker_manifests_are_read_too(conductor, registry, tmp_path):
    registry.fill(Image([box_layer()]).write_layout(tmp_path / "layout"), "web", "--format", "v2s2")
    assert registry.raw("web")["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    conductor.ok("pull", f"{registry.host}/web")
    assert conductor.ok("run", "--rm", f"{registry.host}/web", "--", "echo", "runs") == "runs\n"


def test_of_an_index_this_machines_image_is_taken(conductor, registry, tmp_path, image):
    other = Image([tar({"other": "no\n"})], architecture="s390x")
    registry.fill(other.write_layout(tmp_path / "layout", image), "web", "--all")
    conductor.ok("pull", f"{registry.host}/web")
    assert conductor.ok("run", "--rm", f"{registry.host}/web", "--", "cat", "/hello") == "hi there\n"


def test_an_index_without_this_machine_says_what_there_is(conductor, registry, tmp_path):
    images = [Image([tar({"f": arch})], architecture=arch) for arch in ("s390x", "mips64le")]
    registry.fill(images[0].write_layout(tmp_path / "layout", images[1]), "web", "--all")
    said = conductor.fails("pull", f"{registry.host}/web")
    assert f"not there for linux/{ARCHITECTURE}" in said
    assert "there is linux/s390x, linux/mips64le" in said


def test_an_image_for_another_machine_is_refused(conductor, registry, tmp_path):
    registry.fill(Image([tar({"f": ""})], architecture="s390x").write_layout(tmp_path / "layout"), "web")
    assert "the image is for linux/s390x" in conductor.fails("pull", f"{registry.host}/web")
    assert conductor.json("images") == []


def test_layers_that_are_here_are_not_fetched(conductor, registry, tmp_path, image):
    registry.fill(image.write_layout(tmp_path / "one"), "one")
    more = Image([*image.plain, tar({"more": "x"})])
    registry.fill(more.write_layout(tmp_path / "two"), "two")
    conductor.ok("pull", f"{registry.host}/one")
    [again] = conductor.json("pull", f"{registry.host}/one")
    assert again["new"] is False and again["fetched_layers"] == 0
    [second] = conductor.json("pull", f"{registry.host}/two")
    assert second["fetched_layers"] == 1 and len(second["layers"]) == 3


def test_a_layer_that_stands_there_twice_is_fetched_once(conductor, registry, tmp_path):
    empty = tar({})
    image = Image([box_layer(), empty, empty, tar({"end": "here\n"})])
    registry.fill(image.write_layout(tmp_path / "layout"), "web")
    [pulled] = conductor.json("pull", f"{registry.host}/web")
    assert pulled["fetched_layers"] == 3
    assert conductor.ok("run", "--rm", f"{registry.host}/web", "--", "cat", "/end") == "here\n"


def test_an_image_by_its_digest(conductor, registry, tmp_path, image):
    registry.fill(image.write_layout(tmp_path / "layout"), "web:1")
    name = f"{registry.host}/web@{digest(image.manifest)}"
    conductor.ok("pull", name)
    assert conductor.ok("run", "--rm", name, "--", "cat", "/hello") == "hi there\n"
    assert [i["name"] for i in conductor.json("images")] == [name]
    other = f"{registry.host}/web@sha256:{'0' * 64}"
    assert "does not have it" in conductor.fails("pull", other)
    assert "is no digest" in conductor.fails("pull", f"{registry.host}/web@sha256:../../etc/passwd", status=2)


def test_a_tag_that_moved_is_noticed(conductor, registry, tmp_path, image):
    registry.fill(image.write_layout(tmp_path / "one"), "web")
    name = f"{registry.host}/web"
    conductor.ok("pull", name)
    registry.fill(Image([box_layer(), tar({"hello": "changed\n"})]).write_layout(tmp_path / "two"), "web")
    assert conductor.ok("run", "--rm", name, "--", "cat", "/hello") == "hi there\n"
    assert conductor.ok("run", "--rm", "--pull", "always", name, "--", "cat", "/hello") == "changed\n"
    assert conductor.ok("run", "--rm", name, "--", "cat", "/hello") == "changed\n"


def test_run_create_and_from_get_what_is_missing(conductor, registry, tmp_path, image):
    registry.fill(image.write_layout(tmp_path / "layout"), "team/web:1")
    name = f"{registry.host}/team/web:1"
    assert "no image" in conductor.fails("run", "--rm", "--pull", "never", name, status=125)
    assert conductor.ok("run", "--rm", name, "--", "cat", "/hello") == "hi there\n"
    conductor.ok("rmi", name)
    conductor.ok("create", name, "one")
    conductor.ok("rm", "one")
    conductor.ok("rmi", name)
    file = tmp_path / "Recipe"
    file.write_text(f"FROM {name}\nRUN echo more > /more\nCOPY --from={name} /hello /again\n")
    conductor.ok("build", "mine", file)
    assert conductor.ok("run", "--rm", "mine", "--", "cat", "/more", "/again") == "more\nhi there\n"


def test_a_bare_name_belongs_to_the_configured_registry(conductor, registry, tmp_path, image):
    registry.fill(image.write_layout(tmp_path / "layout"), "web:1")
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"registry": registry.host}))
    assert conductor.ok("--config", config, "run", "--rm", "web:1", "--", "cat", "/hello") == "hi there\n"
    assert [i["name"] for i in conductor.json("images")] == ["web:1"]


def test_docker_io_is_asked_as_its_owner_wants(conductor, registry, tmp_path, image):
    """docker.io/web is library/web of a registry of another name: a mirror shows what is asked for."""
    registry.fill(image.write_layout(tmp_path / "layout"), "library/web:1")
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"registry_mirrors": {"docker.io": [registry.host]}}))
    for name in ("web:1", "docker.io/web:1", "docker.io/library/web:1"):
        assert conductor.ok("--config", config, "run", "--rm", name, "--", "cat", "/hello") == "hi there\n"


def test_a_mirror_that_cannot_help_is_passed_over(conductor, start, tmp_path, image):
    full, empty = start(), start()
    full.fill(image.write_layout(tmp_path / "layout"), "web")
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"registry_mirrors": {full.host: ["127.0.0.1:1", empty.host]}}))
    done = conductor.run("--config", config, "pull", f"{full.host}/web")
    assert done.returncode == 0, done.stderr
    assert "the mirror 127.0.0.1:1 cannot help" in done.stderr and f"the mirror {empty.host} cannot help" in done.stderr


def test_an_image_that_is_nowhere_says_where_was_looked(conductor):
    said = conductor.fails("run", "--rm", "127.0.0.1:1/nosuch", status=125)
    assert "there is no image '127.0.0.1:1/nosuch' here" in said and "nobody answers there" in said


def test_a_pull_brings_back_a_damaged_layer(conductor, registry, tmp_path, image):
    registry.fill(image.write_layout(tmp_path / "layout"), "web")
    name = f"{registry.host}/web"
    conductor.ok("pull", name)
    (conductor.root / "layers" / layers_of(conductor, f"{name}:latest")[-1] / "diff/hello").write_text("")
    conductor.fails("doctor")
    conductor.ok("doctor", "--fix")
    assert conductor.json("pull", name)[0]["fetched_layers"] == 1
    assert conductor.ok("run", "--rm", name, "--", "cat", "/hello") == "hi there\n"


# ---- pushing


def test_layer_digests_survive_pull_and_push(conductor, registry, tmp_path):
    for packing in ("gzip", "zstd", ""):
        # Of their own each: a layer that is here already, however it came, is not fetched again.
        image = Image([box_layer({"packing": packing}), tar({"hello": packing})], packing=packing)
        fill_as_it_is(registry, image, tmp_path / f"layout{packing}", f"from{packing}")
        conductor.ok("pull", f"{registry.host}/from{packing}")
        conductor.ok("push", f"{registry.host}/from{packing}", f"{registry.host}/to{packing}:2")
        before, after = registry.raw(f"from{packing}"), registry.raw(f"to{packing}:2")
        assert after["layers"] == before["layers"]
        assert after["config"] == before["config"]


@pytest.mark.parametrize("words, hint", [
    (["push", "box", "127.0.0.1:{port}"], "127.0.0.1:{port}/box"),
    (["push", "box:latest", "localhost:{port}/"], "localhost:{port}/box:latest"),
    (["push", "box", "reg.lan:{port}"], "reg.lan:{port}/box"),
    (["push", "box", "127.0.0.1"], "127.0.0.1/box"),
    (["push", "127.0.0.1:{port}"], "127.0.0.1:{port}/NAME"),
    (["pull", "127.0.0.1:{port}"], "127.0.0.1:{port}/NAME"),
])
def test_a_registry_without_an_image_is_no_image_of_the_default_registry(conductor, registry, words, hint):
    conductor.busybox_image("box")
    conductor.ok("tag", "box", f"127.0.0.1:{registry.port}")
    config = conductor.directory / "config.json"
    config.write_text(json.dumps({"registry": f"http://{registry.host}"}))
    words = [word.format(port=registry.port) for word in words]
    said = conductor.fails("--config", config, *words, status=2)
    assert "names a registry and no image there" in said and f"hint: write {hint.format(port=registry.port)}\n" in said
    assert registry.repositories() == []


def test_an_image_with_a_dot_in_its_name_is_one(conductor, registry):
    config = conductor.directory / "config.json"
    config.write_text(json.dumps({"registry": f"http://{registry.host}"}))
    conductor.busybox_image("my.app")
    conductor.ok("--config", config, "push", "my.app")
    conductor.ok("--config", config, "push", "my.app", "my.app:12")
    assert registry.repositories() == ["my.app"]


def test_a_docker_image_stays_one(conductor, registry, tmp_path):
    registry.fill(Image([box_layer()]).write_layout(tmp_path / "layout"), "from", "--format", "v2s2")
    conductor.ok("pull", f"{registry.host}/from")
    conductor.ok("push", f"{registry.host}/from", f"{registry.host}/to")
    before, after = registry.raw("from"), registry.raw("to")
    assert (after["mediaType"], after["config"], after["layers"]) == (
        before["mediaType"], before["config"], before["layers"])


def test_what_was_built_here_is_read_by_skopeo_and_pulled_elsewhere(conductor, registry, tmp_path):
    file = tmp_path / "Recipe"
    file.write_text("FROM busybox\nRUN mkdir /d && echo built > /d/file && ln -s file /d/link && chmod 4711 /d/file\n"
                    "ENV COLOUR=red\nCMD [\"cat\", \"/d/link\"]\n")
    conductor.ok("build", "mine", file)
    pushed = conductor.json("push", "mine", f"{registry.host}/team/mine:7")
    seen = json.loads(registry.skopeo("inspect", "--tls-verify=false", f"docker://{registry.host}/team/mine:7"))
    assert seen["Digest"] == pushed["digest"] and "COLOUR=red" in seen["Env"]
    # skopeo checks every digest while it copies.
    registry.skopeo("copy", "--src-tls-verify=false", f"docker://{registry.host}/team/mine:7", f"dir:{tmp_path}/copy")
    before = layers_of(conductor, "mine:latest")
    conductor.ok("rmi", "mine")
    conductor.ok("rmcache")
    conductor.ok("pull", f"{registry.host}/team/mine:7")
    assert layers_of(conductor, f"{registry.host}/team/mine:7") == before
    assert conductor.ok("run", "--rm", f"{registry.host}/team/mine:7") == "built\n"
    assert conductor.ok("run", "--rm", f"{registry.host}/team/mine:7", "--", "stat", "-c", "%a", "/d/file") == "4711\n"


def test_what_is_there_is_not_sent_again(conductor, registry, tmp_path, image):
    registry.fill(image.write_layout(tmp_path / "layout"), "from")
    conductor.ok("pull", f"{registry.host}/from")
    again = conductor.json("push", f"{registry.host}/from")
    assert (again["sent"], again["present"]) == (0, 3)
    mounted = conductor.json("push", f"{registry.host}/from", f"{registry.host}/elsewhere/to")
    assert (mounted["sent"], mounted["mounted"]) == (1, 2)


def test_two_layers_of_the_same_content_are_sent_once(conductor, registry, tmp_path):
    image = Image([box_layer(), tar({}), tar({})])
    registry.fill(image.write_layout(tmp_path / "layout"), "from")
    conductor.ok("pull", f"{registry.host}/from")
    other = Registry(tmp_path / "other")
    try:
        pushed = conductor.json("push", f"{registry.host}/from", f"{other.host}/to")
        assert pushed["sent"] == 3
        assert other.raw("to")["layers"] == registry.raw("from")["layers"]
    finally:
        other.close()


# ---- passwords, tokens, TLS


def logged_in(tmp_path, host, name="user", password="secret"):
    """Environment in which skopeo and conductor know the password."""
    import base64
    file = tmp_path / "auth.json"
    file.write_text(json.dumps({"auths": {host: {"auth": base64.b64encode(f"{name}:{password}".encode()).decode()}}}))
    return {"REGISTRY_AUTH_FILE": str(file)}


def test_basic_authentication(conductor, start, tmp_path, image):
    registry = start(auth="htpasswd")
    registry.fill(image.write_layout(tmp_path / "layout"), "web", "--dest-creds=user:secret")
    name = f"{registry.host}/web"
    said = conductor.fails("pull", name, env={"REGISTRY_AUTH_FILE": str(tmp_path / "none")})
    assert "wants a user and a password" in said and f"conductor login {registry.host}" in said
    wrong = logged_in(tmp_path, registry.host, password="wrong")
    assert "wants to know who asks" in conductor.fails("pull", name, env=wrong)
    right = logged_in(tmp_path, registry.host)
    conductor.ok("pull", name, env=right)
    conductor.ok("push", name, f"{registry.host}/copy", env=right)
    assert registry.raw("copy", "--creds=user:secret")["layers"] == image.document["layers"]


def test_token_authentication(conductor, start, tmp_path, image):
    tokens = TokenServer(tmp_path / "tokens")
    registry = start(auth=tokens)
    registry.fill(image.write_layout(tmp_path / "layout"), "team/web", "--dest-creds=user:secret")
    tokens.asked.clear()
    env = logged_in(tmp_path, registry.host)
    conductor.ok("pull", f"{registry.host}/team/web", env=env)
    assert [a["query"]["scope"] for a in tokens.asked] == [["repository:team/web:pull"]]  # one token for everything
    assert tokens.asked[0]["query"]["service"] == [tokens.service]
    conductor.ok("push", f"{registry.host}/team/web", f"{registry.host}/team/copy", env=env)
    assert ["repository:team/copy:pull,push"] in [a["query"]["scope"] for a in tokens.asked]
    assert registry.raw("team/copy", "--creds=user:secret")["layers"] == image.document["layers"]
    wrong = logged_in(tmp_path, registry.host, password="wrong")
    assert "does not accept the password of 'user'" in conductor.fails("pull", f"{registry.host}/team/web", env=wrong)


def test_a_token_without_a_password(conductor, start, tmp_path, image):
    tokens = TokenServer(tmp_path / "tokens", anonymous=True)
    registry = start(auth=tokens)
    registry.fill(image.write_layout(tmp_path / "layout"), "web", "--dest-creds=user:secret")
    env = {"REGISTRY_AUTH_FILE": str(tmp_path / "none")}
    tokens.asked.clear()
    conductor.ok("pull", f"{registry.host}/web", env=env)
    assert {a["authorization"] for a in tokens.asked} == {None}
    said = conductor.fails("push", f"{registry.host}/web", f"{registry.host}/copy", env=env)
    assert "conductor login" in said


def test_tls(conductor, start, tmp_path, image):
    registry = start(tls=True)
    registry.fill(image.write_layout(tmp_path / "layout"), "web")
    name = f"{registry.host}/web"
    said = conductor.fails("pull", name)  # on loopback too: a certificate that is wrong is wrong
    assert "its certificate is not to be trusted" in said and "--tls-ca" in said
    conductor.ok("pull", name, "--tls-ca", registry.ca)
    conductor.ok("push", name, f"{registry.host}/copy", "--tls-ca", registry.ca)
    assert registry.raw("copy")["layers"] == image.document["layers"]
    conductor.ok("rmi", name)
    conductor.ok("pull", name, "--tls-verify=false")
    assert "there are none" in conductor.fails("pull", name, "--tls-ca", "/etc/hostname")


def test_certificates_in_the_usual_place(conductor, start, tmp_path, image):
    """/etc/containers/certs.d/HOST:PORT; the test has mounts of its own."""
    import subprocess
    from pathlib import Path
    registry = start(tls=True)
    registry.fill(image.write_layout(tmp_path / "layout"), "web")
    Path("/etc/containers").mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", "/etc/containers"], check=True)
    try:
        place = Path("/etc/containers/certs.d", registry.host)
        place.mkdir(parents=True)
        (place / "ca.crt").write_text(registry.ca.read_text())
        conductor.ok("pull", f"{registry.host}/web")
    finally:
        subprocess.run(["umount", "/etc/containers"], check=True)


# ---- while it goes on


def test_progress_is_lines_where_there_is_no_terminal(conductor, registry, tmp_path, image):
    registry.fill(image.write_layout(tmp_path / "layout"), "web")
    done = conductor.run("pull", f"{registry.host}/web")
    for number, layer in enumerate(image.document["layers"], 1):
        assert f"layer {number}/2 {layer['digest'][7:19]}" in done.stderr
    assert "\x1b" not in done.stderr and "2 of 2 layers fetched" in done.stdout


def test_on_a_terminal_each_layer_has_a_bar(conductor):
    image = Image([tar({name: name.encode() * 4_000_000}) for name in "ab"], packing="")
    liar = LyingRegistry()
    try:
        liar.serve(image, "web")
        for layer, sent in zip(image.layers, (1_000_000, 3_000_000)):
            liar.stall(f"/v2/web/blobs/{layer['digest']}", image.blobs[layer["digest"]], sent)
        screen = conductor.screen("pull", f"{liar.host}/web")
        bar = r"layer {}/2 [0-9a-f]{{12}} +\[#{{{}}}\.+\] .* of 3\.8M"
        screen.wait_for(lambda: re.search(bar.format(1, "5,6"), screen.text) and re.search(bar.format(2, "17,18"), screen.text))
        screen.signal(signal.SIGINT)
        assert screen.wait() == 1
    finally:
        liar.close()


def test_the_event_stream_tells_each_layer(conductor, registry, tmp_path, image):
    registry.fill(image.write_layout(tmp_path / "layout"), "web")
    events = [json.loads(line) for line in conductor.ok("--events", "1", "pull", f"{registry.host}/web").splitlines()]
    begun = {e["id"]: e["topic"] for e in events if e["event"] == "step_began" and e["topic"].startswith("layer ")}
    assert len(begun) == 2
    ended = {e["id"]: e["outcome"] for e in events if e["event"] == "step_ended"}
    assert {ended[i] for i in begun} == {"done"}
    sizes = {layer["size"] for layer in image.document["layers"]}
    assert {e["total"] for e in events if e["event"] == "progress" and e["step"] in begun} == sizes
    assert events[-1]["event"] == "result" or any(e["event"] == "result" for e in events)


def test_each_call_can_be_asked_for(conductor, registry, tmp_path, image):
    """With a gate there are no threads; every request and every file of the store passes it."""
    registry.fill(image.write_layout(tmp_path / "layout"), "web")
    answers = "go\n" * 2000
    done = conductor.run("--gate", "0", "--events", "1", "pull", f"{registry.host}/web", input=answers)
    assert done.returncode == 0, done.stderr
    calls = [e["call"] for line in done.stdout.splitlines() if (e := json.loads(line))["event"] == "call_began"]
    assert sum(1 for call in calls if re.match(r"GET .*/blobs/", call)) == 3
    said = conductor.run("--gate", "0", "pull", f"{registry.host}/web", "--limit", "1G", input="abort\n")
    assert said.returncode == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_pull_that_is_stopped_leaves_nothing(conductor, tmp_path, number):
    image = Image([box_layer(), tar({"big": b"x" * 5_000_000})], packing="")
    registry = LyingRegistry()
    try:
        registry.serve(image, "web")
        big = image.layers[1]["digest"]
        registry.stall(f"/v2/web/blobs/{big}", image.blobs[big], 3_000_000)
        pull = conductor.start("pull", f"{registry.host}/web")
        wait_until(lambda: any(big in s["path"] for s in registry.seen), 10)
        pull.send_signal(number)
        pull.communicate(timeout=10)
        assert pull.returncode == (1 if number != signal.SIGKILL else -9)
        assert conductor.json("images") == []
        registry.serve(image, "web")
        conductor.ok("pull", f"{registry.host}/web")  # sweeps what was left
        assert list((conductor.root / "tmp").iterdir()) == []
        assert {p.name for p in (conductor.root / "layers").iterdir()} == {
            d[7:] for d in image.configuration["rootfs"]["diff_ids"]}
    finally:
        registry.close()


def test_two_pulls_at_once_share_the_work(conductor, registry, tmp_path, image):
    registry.fill(image.write_layout(tmp_path / "layout"), "web")
    conductor.ok("images")
    pulls = [conductor.start("pull", f"{registry.host}/web", "--json") for _ in range(4)]
    outcomes = [p.communicate(timeout=30) for p in pulls]
    assert [p.returncode for p in pulls] == [0] * 4, outcomes
    assert sum(json.loads(out)[0]["fetched_layers"] for out, _ in outcomes) == 2
