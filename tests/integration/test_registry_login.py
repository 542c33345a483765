"""login and logout, and where passwords are found: the files and helpers that docker, podman and skopeo share."""
import base64
import json
import os
import stat
import termios

import pytest

from support.oci_image import Image, box_layer
from support.registry import Registry, TokenServer


@pytest.fixture
def registry(tmp_path):
    made = Registry(tmp_path / "registry", auth="htpasswd")
    made.fill(Image([box_layer()]).write_layout(tmp_path / "layout"), "web", "--dest-creds=user:secret")
    yield made
    made.close()


@pytest.fixture
def home(tmp_path, conductor):
    """A home and a runtime directory of the test's own."""
    for name in ("home", "runtime"):
        (tmp_path / name).mkdir()
    conductor.environment.update(HOME=str(tmp_path / "home"), XDG_RUNTIME_DIR=str(tmp_path / "runtime"))
    for name in ("REGISTRY_AUTH_FILE", "XDG_CONFIG_HOME", "DOCKER_CONFIG"):
        conductor.environment.pop(name, None)
    return tmp_path


def entry(name="user", password="secret"):
    return {"auth": base64.b64encode(f"{name}:{password}".encode()).decode()}


def write(path, document):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def helper(home, conductor, name, script):
    """docker-credential-NAME in PATH."""
    path = write(home / f"bin/docker-credential-{name}", "#!/bin/sh\n" + script)
    path.chmod(0o755)
    conductor.environment["PATH"] = f"{home}/bin:{os.environ['PATH']}"


def test_login_keeps_what_works_and_logout_forgets(conductor, registry, home):
    name = f"{registry.host}/web"
    assert "conductor login" in conductor.fails("pull", name)
    said = conductor.ok("login", registry.host, "-u", "user", "--password-stdin", input="secret\n")
    file = home / "runtime/containers/auth.json"
    assert f"logged in to {registry.host} as user" in said and str(file) in said
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text()) == {"auths": {registry.host: entry()}}
    conductor.ok("pull", name)
    assert "logged out" in conductor.ok("logout", registry.host)
    assert json.loads(file.read_text()) == {"auths": {}}
    assert "nothing was kept" in conductor.ok("logout", registry.host)
    assert "conductor login" in conductor.fails("push", name)


def test_skopeo_reads_what_login_wrote(conductor, registry, home):
    file = home / "auth.json"
    conductor.ok("login", registry.host, "-u", "user", "--password-stdin", input="secret",
                 env={"REGISTRY_AUTH_FILE": str(file)})
    registry.skopeo("inspect", "--tls-verify=false", "--authfile", file, f"docker://{registry.host}/web")


def test_a_wrong_password_is_not_kept(conductor, registry, home):
    said = conductor.fails("login", registry.host, "-u", "user", "--password-stdin", input="wrong\n")
    assert "does not accept the password of 'user'" in said
    assert not (home / "runtime/containers/auth.json").exists()


def test_login_with_tokens(conductor, home, tmp_path):
    tokens = TokenServer(tmp_path / "tokens")
    registry = Registry(tmp_path / "other", auth=tokens)
    try:
        conductor.ok("login", registry.host, "-u", "user", "--password-stdin", input="secret\n")
        assert "does not accept" in conductor.fails("login", registry.host, "-u", "user", "--password-stdin", input="x\n")
    finally:
        registry.close()


def test_what_else_stands_in_the_file_stays(conductor, registry, home):
    before = {"auths": {"quay.io": entry("a", "b")}, "unknown": {"x": [1]}}
    file = write(home / "runtime/containers/auth.json", before)
    conductor.ok("login", registry.host, "-u", "user", "--password-stdin", input="secret\n")
    assert json.loads(file.read_text()) == {**before, "auths": {**before["auths"], registry.host: entry()}}
    conductor.ok("logout", registry.host)
    assert json.loads(file.read_text()) == before


def test_a_damaged_file_is_said_and_left(conductor, registry, home):
    file = write(home / "runtime/containers/auth.json", "{ not json")
    said = conductor.fails("login", registry.host, "-u", "user", "--password-stdin", input="secret\n")
    assert str(file) in said and "no JSON" in said
    assert file.read_text() == "{ not json"
    assert "no JSON" in conductor.fails("pull", f"{registry.host}/web")


@pytest.mark.parametrize("place", ["runtime/containers/auth.json", "home/.config/containers/auth.json",
                                   "home/.docker/config.json"])
def test_each_usual_file_is_read(conductor, registry, home, place):
    write(home / place, {"auths": {registry.host: entry()}})
    conductor.ok("pull", f"{registry.host}/web")


@pytest.mark.parametrize("key", ["{host}/web", "https://{host}/v1/", "http://{host}"])
def test_each_usual_key_is_found(conductor, registry, home, key):
    write(home / "home/.docker/config.json", {"auths": {key.format(host=registry.host): entry()}})
    conductor.ok("pull", f"{registry.host}/web")


def test_the_most_specific_entry_wins(conductor, registry, home):
    write(home / "home/.docker/config.json",
          {"auths": {registry.host: entry(password="wrong"), f"{registry.host}/web": entry()}})
    conductor.ok("pull", f"{registry.host}/web")


@pytest.mark.parametrize("key", ["credsStore", "credHelpers"])
def test_a_helper_is_asked(conductor, registry, home, key):
    write(home / "home/.docker/config.json", {key: "test" if key == "credsStore" else {registry.host: "test"}})
    helper(home, conductor, "test", f"""
read -r asked
echo "$1 $asked" >> {home}/asked
echo '{{"ServerURL": "x", "Username": "user", "Secret": "secret"}}'
""")
    conductor.ok("pull", f"{registry.host}/web")
    assert (home / "asked").read_text() == f"get {registry.host}\n"


@pytest.mark.parametrize("script, says", [
    ("echo 'credentials not found in native keychain'; exit 1", "wants a user and a password"),
    ("echo 'the keychain is locked'; exit 1", "exit status 1 (the keychain is locked"),
    ("echo 'no json'", "cannot be understood"),
    ("head -c 100000 /dev/zero", "File too large"),
    ("kill -9 $$", "exit status 137"),
])
def test_what_a_helper_may_answer(conductor, registry, home, script, says):
    write(home / "home/.docker/config.json", {"credsStore": "test"})
    helper(home, conductor, "test", script + "\n")
    assert says in conductor.fails("pull", f"{registry.host}/web")


@pytest.mark.parametrize("name", ["../../bin/sh", "a/b", "a b", "x;reboot", ""])
def test_a_helper_has_a_plain_name(conductor, registry, home, name):
    write(home / "home/.docker/config.json", {"credHelpers": {registry.host: name}})
    said = conductor.fails("pull", f"{registry.host}/web")
    assert "is no name of a helper" in said if name else "wants a user" in said


def test_login_and_logout_through_a_helper(conductor, registry, home):
    write(home / "runtime/containers/auth.json", {"credHelpers": {registry.host: "test"}})
    helper(home, conductor, "test", f"""
case $1 in
store) cat > {home}/kept ;;
get) [ -e {home}/kept ] || {{ echo "credentials not found"; exit 1; }}; cat {home}/kept ;;
erase) rm {home}/kept ;;
esac
""")
    assert "docker-credential-test" in conductor.ok("login", registry.host, "-u", "user", "--password-stdin", input="secret\n")
    kept = json.loads((home / "kept").read_text())
    assert kept == {"ServerURL": registry.host, "Username": "user", "Secret": "secret"}
    assert "secret" not in (home / "runtime/containers/auth.json").read_text()
    conductor.ok("pull", f"{registry.host}/web")
    assert "logged out" in conductor.ok("logout", registry.host)
    assert not (home / "kept").exists()


def test_on_a_terminal_the_password_is_not_shown(conductor, registry, home):
    screen = conductor.screen("login", registry.host)
    screen.wait_for_text("user at")
    screen.send("user\r")
    screen.wait_for_text("password:")
    assert not termios.tcgetattr(screen.master)[3] & termios.ECHO, "who sees the prompt may type"
    screen.send("secret\r")
    screen.wait_for_text("logged in to")
    assert "secret" not in screen.text


@pytest.mark.parametrize("arguments, says", [
    (["a b"], "is no registry"), (["host/path"], "is no registry"), (["host", "--password-stdin"], "needs a user"),
    (["host", "-u", "a:b", "--password-stdin"], "can be no user"), (["host", "-u", "user"], "no terminal"),
])
def test_wrong_usage(conductor, home, arguments, says):
    assert says in conductor.fails("login", *arguments, status=2, input="secret\n")
