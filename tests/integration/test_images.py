"""Images that are there: listing, naming, removing, and the build cache."""
import io
import json
import os
import tarfile
import threading

import pytest


def build(conductor, name, recipe):
    file = conductor.directory / "Recipe"
    file.write_text(recipe)
    conductor.ok("build", name, file)


def names(conductor):
    return [image["name"] for image in conductor.json("images")]


def layers(conductor):
    return {path.name for path in (conductor.root / "layers").iterdir()}


def test_a_list_says_name_size_layers_base_and_users(conductor):
    build(conductor, "web:2", "FROM busybox\nRUN head -c 100000 /dev/zero > /zeros\n")
    conductor.ok("run", "-d", "web:2", "one", "--", "sleep", "1000")
    [image] = conductor.json("images")
    assert image["name"] == "web:2"
    assert image["base"] == "busybox:latest"
    assert image["used_by"] == ["one"]
    assert len(image["layers"]) == 2 and len(image["id"]) == 64
    assert 1_000_000 < image["size_bytes"] < 10_000_000
    assert image["created"].endswith("Z")


def test_an_image_that_is_used_is_not_removed(conductor):
    build(conductor, "web", "FROM busybox\n")
    conductor.ok("run", "-d", "web", "one", "--", "sleep", "1000")
    said = conductor.fails("rmi", "web")
    assert "'web'" in said and "'one'" in said
    assert names(conductor) == ["web:latest"]
    conductor.ok("stop", "one")
    conductor.ok("rmi", "web")
    assert names(conductor) == []


def test_an_unknown_image_names_the_nearest(conductor):
    build(conductor, "website", "FROM busybox\n")
    assert "did you mean 'website'?" in conductor.fails("rmi", "webiste")


def test_an_image_can_be_removed_by_id(conductor):
    build(conductor, "web", "FROM busybox\nENV A=1\n")
    build(conductor, "other", "FROM busybox\n")
    web = next(i for i in conductor.json("images") if i["name"] == "web:latest")
    conductor.ok("rmi", f"id:{web['id'][:12]}")
    assert names(conductor) == ["other:latest"]


def test_rmcache_keeps_what_images_and_containers_need(conductor):
    build(conductor, "kept", "FROM busybox\nRUN echo kept > /kept\n")
    build(conductor, "used", "FROM busybox\nRUN echo used > /used\n")
    build(conductor, "gone", "FROM busybox\nRUN echo gone > /gone\n")
    used = next(i for i in conductor.json("images") if i["name"] == "used:latest")
    conductor.ok("run", "-d", "used", "one", "--", "sleep", "1000")
    build(conductor, "used", "FROM busybox\nENV A=1\n")  # the name moves on, the container stays on its layers
    conductor.ok("rmi", "gone")
    before = layers(conductor)
    conductor.ok("rmcache")
    after = layers(conductor)
    assert len(before - after) == 1
    assert set(used["layers"]) <= after
    assert conductor.ok("run", "--rm", "kept", "--", "cat", "/kept") == "kept\n"
    assert conductor.ok("exec", "one", "--", "cat", "/used") == "used\n"
    steps = {os.readlink(link) for link in (conductor.root / "cache").iterdir()}
    assert steps == after  # of what stays it is still known what made it


def test_after_rmcache_what_an_image_needs_is_still_cached(conductor):
    recipe = "FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /id\n"
    build(conductor, "web", recipe)
    first = conductor.json("images")[0]["layers"]
    build(conductor, "other", "FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /other\n")
    conductor.ok("rmi", "other")
    conductor.ok("rmcache")
    build(conductor, "web", recipe)
    assert conductor.json("images")[0]["layers"] == first


def test_after_rmcache_what_no_image_needs_is_made_anew(conductor):
    build(conductor, "web", "FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /id\n")
    first = conductor.json("images")[0]["layers"]
    conductor.ok("rmi", "web")
    conductor.ok("rmcache")
    build(conductor, "web", "FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /id\n")
    assert conductor.json("images")[0]["layers"] != first


def test_rmcache_beside_builds_breaks_none(conductor):
    recipes = []
    for number in range(4):
        file = conductor.directory / f"R{number}"
        file.write_text("FROM busybox\n" + "".join(f"RUN echo {number}{n} > /f{n}\n" for n in range(3)))
        recipes.append(file)
    done = []
    threads = [threading.Thread(target=lambda f=f: done.append(conductor.run("build", f.name.lower(), f))) for f in recipes]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        conductor.run("rmcache")
    for thread in threads:
        thread.join()
    assert [d.returncode for d in done] == [0] * 4, "\n".join(d.stderr for d in done)
    for number in range(4):
        assert conductor.ok("run", "--rm", f"r{number}", "--", "cat", "/f2") == f"{number}2\n"


def test_a_base_that_is_not_there_is_made_for_run(conductor):
    assert conductor.ok("run", "--rm", "busybox", "--", "echo", "hello").endswith("hello\n")
    assert names(conductor) == ["busybox:latest"]


def test_run_of_an_unknown_image_says_what_there_is(conductor):
    said = conductor.fails("run", "--rm", "nosuch/thing", "--", "true", status=125)
    assert "nosuch/thing" in said


# ---- what is damaged, and what is too much

def damage(conductor, what):
    """What a power failure may leave of a file that was just written."""
    for path in conductor.root.glob(what):
        path.write_bytes(b"")


def test_a_damaged_image_stands_in_no_others_way(conductor):
    build(conductor, "web", "FROM busybox\nENV A=1\n")
    web = conductor.json("images")[0]["id"]
    damage(conductor, "images/id/*")
    build(conductor, "other", "FROM busybox\n")
    done = conductor.run("images")
    assert done.returncode == 0
    assert "(damaged)" in done.stdout and "other:latest" in done.stdout
    assert "the file is damaged" in done.stderr
    rows = {row["name"]: row for row in conductor.json("images")}
    assert "damaged" in rows["web:latest"]["damage"] and "damage" not in rows["other:latest"]
    conductor.ok("df")
    for words in (("rmcache",), ("prune", "--force"), ("inspect", "web:latest"), ("history", "web")):
        assert f"hint: conductor rmi id:{web[:12]}" in conductor.fails(*words)
    conductor.fails("run", "--rm", "web", status=125)
    conductor.ok("rmi", f"id:{web[:12]}")
    assert names(conductor) == ["other:latest"]
    conductor.ok("rmcache")


def test_a_damaged_image_is_removed_by_its_name_and_built_anew(conductor):
    build(conductor, "web", "FROM busybox\nENV A=1\n")
    damage(conductor, "images/id/*")
    conductor.ok("rmi", "web")
    build(conductor, "web", "FROM busybox\nENV A=1\n")
    conductor.ok("run", "--rm", "web", "--", "true")


def test_a_damaged_layer_is_named_and_can_be_given_up(conductor):
    build(conductor, "web", "FROM busybox\nRUN touch /x\n")
    damage(conductor, "layers/*/layer.json")
    assert names(conductor) == ["web:latest"]
    conductor.ok("history", "web")
    conductor.ok("df")
    said = conductor.fails("build", "again", conductor.directory / "Recipe")
    assert "/layers/" in said and "conductor rmcache" in said
    assert "/layers/" in conductor.fails("rmcache")  # it is still needed, and what it keeps is not known
    conductor.ok("rmi", "web")
    conductor.ok("rmcache")
    assert layers(conductor) == set()
    build(conductor, "again", "FROM busybox\nRUN touch /x\n")
    conductor.ok("run", "--rm", "again", "--", "test", "-e", "/x")


def test_more_layers_than_an_image_can_have(conductor):
    (conductor.directory / "Recipe").write_text(
        "FROM scratch\n" + "".join(f"COPY <<E /f{n}\n{n}\nE\n" for n in range(401)) + "WORKDIR /\n")
    said = conductor.fails("build", "web", conductor.directory / "Recipe", timeout=200)
    assert "Recipe:1202: the image would have more than 400 layers" in said and "hint: " in said
    assert names(conductor) == []
    (conductor.directory / "Recipe").write_text(
        "FROM scratch\n" + "".join(f"COPY <<E /f{n}\n{n}\nE\n" for n in range(400)) + "WORKDIR /\n")
    conductor.ok("build", "web", conductor.directory / "Recipe", timeout=200)
    assert len(conductor.json("images")[0]["layers"]) == 400


def test_a_configuration_larger_than_anybody_reads(conductor):
    (conductor.directory / "Recipe").write_text(
        "FROM busybox\nARG A=" + "x" * 100_000 + "\n" + "".join(f"LABEL l{n}=$A\n" for n in range(60)))
    said = conductor.fails("build", "web", conductor.directory / "Recipe")
    assert "at most 4194304 are possible" in said and "hint: shorten" in said
    assert names(conductor) == []


# ---- layers that lost bytes


def layers_check(conductor, *options, status=0):
    done = conductor.run("doctor", "--json", *options)
    assert done.returncode == status, done.stdout + done.stderr
    return next(c for c in json.loads(done.stdout) if c["check"] == "layers")


@pytest.fixture
def damaged(conductor):
    """An image whose last layer has lost what a file held, as a power failure before the write-back leaves it."""
    conductor.recipe = conductor.directory / "Conductorfile"
    conductor.recipe.write_text("FROM busybox\nRUN echo kept > /f && ln /f /g && truncate -s 1M /hole\n")
    conductor.ok("build", "web", conductor.recipe)
    assert layers_check(conductor)["health"] == "ok"
    layer = next(i for i in conductor.json("images") if i["name"] == "web:latest")["layers"][-1]
    os.truncate(conductor.root / "layers" / layer / "diff/f", 0)
    return conductor


def test_doctor_finds_a_damaged_layer_and_a_build_makes_it_again(damaged):
    check = layers_check(damaged, status=1)
    assert (check["health"], check["cure"]) == ("missing", "conductor doctor --fix")
    assert "1 layers have lost bytes" in check["found"] and "web:latest" in check["found"]
    assert "web:latest" in layers_check(damaged, "--fix")["found"]
    assert layers_check(damaged)["health"] == "ok"
    damaged.ok("build", "web", damaged.recipe)
    assert damaged.ok("run", "--rm", "web", "--", "cat", "/g") == "kept\n"
    assert layers_check(damaged)["health"] == "ok"


def test_a_damaged_layer_that_a_container_needs_stays(damaged):
    damaged.ok("create", "web", "one")
    assert "remove the containers" in layers_check(damaged, "--fix", status=1)["cure"]
    damaged.ok("rm", "one")
    assert "removed 1" in layers_check(damaged, "--fix")["found"]


def test_a_file_that_an_archive_has_twice_counts_once(conductor):
    archive = conductor.directory / "twice.tar"
    with tarfile.open(archive, "w") as tar:
        for content in (b"x" * 5000, b"short"):
            member = tarfile.TarInfo("f")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    conductor.ok("import", archive, "twice")
    assert next(i["size_bytes"] for i in conductor.json("images") if i["name"] == "twice:latest") == 5
    assert layers_check(conductor)["health"] == "ok"
