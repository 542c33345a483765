"""A registry that lies, breaks off, stalls or wants our password: what each lie does, and that nothing of it stays."""
import base64
import json
import os
import subprocess
import tarfile
import zlib

import pytest

from support.lying_registry import LyingRegistry
from support.oci_image import (ARCHITECTURE, DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Image, box_layer,
                               digest, tar)
from support.waiting import wait_until

SECRET = base64.b64encode(b"user:secret").decode()


@pytest.fixture
def liar():
    made = LyingRegistry()
    yield made
    made.close()


@pytest.fixture
def other():
    made = LyingRegistry()
    yield made
    made.close()


@pytest.fixture
def image():
    return Image([box_layer(), tar({"hello": "hi there\n" + "x" * 300_000})], packing="gzip")


def password(tmp_path, *hosts):
    file = tmp_path / "auth.json"
    file.write_text(json.dumps({"auths": {host: {"auth": SECRET} for host in hosts}}))
    return {"REGISTRY_AUTH_FILE": str(file)}


def refused(conductor, registry, *options, **more):
    """Pulls `web`, which must fail and leave nothing; what was said."""
    said = conductor.fails("pull", f"{registry.host}/web", *options, **more)
    assert conductor.json("images") == []
    for place in ("layers", "blobs/sha256", "tmp"):
        assert not (conductor.root / place).exists() or list((conductor.root / place).iterdir()) == [], place
    return said


def blob_path(image, number):
    return f"/v2/web/blobs/{image.layers[number]['digest']}"


# ---- bytes


def test_wrong_bytes_in_a_layer(conductor, liar, image):
    liar.serve(image, "web")
    data = bytearray(image.blobs[image.layers[1]["digest"]])
    data[-9] ^= 1  # gzip's own checksum sees it too
    liar.at(blob_path(image, 1), body=bytes(data))
    assert "layer 2/2" in refused(conductor, liar)


def test_other_bytes_of_the_same_length(conductor, liar):
    image = Image([tar({"a": "1"})], packing="")
    liar.serve(image, "web")
    liar.at(blob_path(image, 0), body=tar({"a": "2"}))
    said = refused(conductor, liar)
    assert f"not {image.layers[0]['digest']}" in said or "the configuration of the image says" in said


def test_wrong_bytes_in_the_configuration(conductor, liar, image):
    liar.serve(image, "web")
    config = image.document["config"]["digest"]
    liar.at(f"/v2/web/blobs/{config}", body=image.blobs[config].replace(b"linux", b"linuX"))
    assert f"not {config}: what came is not what was asked for" in refused(conductor, liar)


def test_another_manifest_than_the_digest_names(conductor, liar, image):
    liar.serve(image, "web")
    wanted = digest(b"something else")
    liar.at(f"/v2/web/manifests/{wanted}", body=image.manifest, headers={"Content-Type": OCI_MANIFEST})
    assert f"not {wanted}" in conductor.fails("pull", f"{liar.host}/web@{wanted}")


def test_a_layer_that_unpacks_to_something_else(conductor, liar, image):
    """Manifest and layer agree, the configuration names another plain archive."""
    config = json.loads(image.blobs[image.document["config"]["digest"]])
    config["rootfs"]["diff_ids"][1] = digest(b"another archive")
    raw = json.dumps(config).encode()
    image.document["config"] = {"mediaType": OCI_CONFIG, "digest": image.add(raw), "size": len(raw)}
    image.manifest = json.dumps(image.document).encode()
    liar.serve(image, "web")
    assert "the configuration of the image says" in refused(conductor, liar)


@pytest.mark.parametrize("difference", [-100, 100])
def test_wrong_size_in_the_manifest(conductor, liar, image, difference):
    image.document["layers"][0]["size"] += difference
    image.manifest = json.dumps(image.document).encode()
    liar.serve(image, "web")
    said = refused(conductor, liar)
    assert "bytes of" in said and "the manifest says" in said


def test_more_bytes_than_declared_without_a_length(conductor, liar, image):
    liar.serve(image, "web")
    data = image.blobs[image.layers[0]["digest"]]

    def endless(request):
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        try:
            for chunk in (data, b"more" * 100):
                request.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
            request.wfile.write(b"0\r\n\r\n")
        except OSError:
            pass
        request.close_connection = True

    liar.at(blob_path(image, 0), endless)
    assert "sends more than" in refused(conductor, liar)


@pytest.mark.parametrize("headers", [
    {f"X-Filler-{i}": "x" * 1000 for i in range(80)},
    {"X-Filler": "x" * 70_000},
])
def test_headers_without_end(conductor, liar, image, headers):
    liar.serve(image, "web")
    liar.at("/v2/web/manifests/latest", body=image.manifest, headers={"Content-Type": OCI_MANIFEST, **headers})
    refused(conductor, liar)


def test_a_manifest_without_end(conductor, liar, image):
    liar.serve(image, "web")
    liar.at("/v2/web/manifests/latest", body=image.manifest + b" " * (5 << 20), headers={"Content-Type": OCI_MANIFEST})
    assert "sends more than" in refused(conductor, liar)


# ---- documents


def manifest_is(liar, image, document, media_type=OCI_MANIFEST):
    liar.serve(image, "web")
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    liar.serve_manifest("web", raw, media_type)


@pytest.mark.parametrize("bad", [
    "sha256:../../../../etc/passwd", "sha256:" + "0" * 63, "sha256:" + "A" * 64, "md5:" + "0" * 32, "../x", "",
    "sha256:" + "0" * 64 + "/../../x", "sha512:" + "0" * 128, "sha256:" + "0" * 63 + "\x00", "latest",
])
@pytest.mark.parametrize("place", ["config", "layer", "index"])
def test_digests_that_are_none(conductor, liar, image, bad, place):
    document = image.document
    if place == "config":
        document["config"]["digest"] = bad
    elif place == "layer":
        document["layers"][1]["digest"] = bad
    else:
        document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
            {**image.descriptor(), "digest": bad, "platform": {"os": "linux", "architecture": ARCHITECTURE}}]}
    manifest_is(liar, image, document, OCI_INDEX if place == "index" else OCI_MANIFEST)
    assert "has the digest" in refused(conductor, liar)
    assert all(".." not in s["path"] for s in liar.seen)


def test_a_document_that_is_manifest_and_index(conductor, liar, image):
    """CVE-2021-41190: the same bytes, two readings."""
    both = {**image.document, "manifests": [image.descriptor()]}
    for media_type in (OCI_MANIFEST, OCI_INDEX):
        manifest_is(liar, image, {**both, "mediaType": media_type}, media_type)
        assert "could be read as an image and as an index" in refused(conductor, liar)
    del both["mediaType"]
    manifest_is(liar, image, both, OCI_INDEX)
    assert "could be read as an image and as an index" in refused(conductor, liar)


def test_header_and_document_disagree_about_the_type(conductor, liar, image):
    manifest_is(liar, image, image.document, OCI_INDEX)
    assert "and it calls itself" in refused(conductor, liar)
    manifest_is(liar, image, image.document, "text/html")
    assert "the registry calls it 'text/html'" in refused(conductor, liar)


def test_a_key_that_stands_there_twice(conductor, liar, image):
    raw = image.manifest.replace(b'"layers":', b'"layers": [], "layers":', 1)
    manifest_is(liar, image, raw)
    assert "the key 'layers' stands there twice" in refused(conductor, liar)


def test_schema_1_gets_a_sentence(conductor, liar, image):
    old = {"schemaVersion": 1, "name": "web", "tag": "latest", "fsLayers": [], "history": [], "signatures": []}
    for media_type in ("application/vnd.docker.distribution.manifest.v1+prettyjws", "application/json"):
        manifest_is(liar, image, old, media_type)
        assert "it is of schema 1" in refused(conductor, liar)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b'"x"', b'{"schemaVersion": 3}', b'{"schemaVersion": "2"}',
                                 b'{"schemaVersion": 2}', b'{"schemaVersion": 2, "config": 5, "layers": []}',
                                 b'{"schemaVersion": 2, "manifests": {}}', b"[" * 100_000, b"<html></html>", b"\xff\xfe"])
def test_documents_that_are_none(conductor, liar, image, raw):
    manifest_is(liar, image, raw)
    assert "the manifest is refused" in refused(conductor, liar)


@pytest.mark.parametrize("size", [-1, 1.5, "100", None, 2**64, 2**63, 10**30])
def test_sizes_that_cannot_be(conductor, liar, image, size):
    image.document["layers"][0]["size"] = size
    manifest_is(liar, image, image.document)
    assert "the manifest is refused" in refused(conductor, liar)


def test_more_layers_than_the_kernel_stacks(conductor, liar, image):
    image.document["layers"] *= 300
    manifest_is(liar, image, image.document)
    assert "are the most" in refused(conductor, liar)


def test_an_index_that_leads_to_an_index(conductor, liar, image):
    platform = {"os": "linux", "architecture": ARCHITECTURE}
    inner = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX,
                        "manifests": [{**image.descriptor(), "platform": platform}]}).encode()
    liar.serve(image, "web")
    liar.serve_manifest("web", inner, OCI_INDEX, "inner")
    outer = {"mediaType": OCI_INDEX, "digest": digest(inner), "size": len(inner), "platform": platform}
    manifest_is(liar, image, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [outer]}, OCI_INDEX)
    liar.serve_manifest("web", inner, OCI_INDEX, "inner")
    assert "leads to another index" in refused(conductor, liar)


def test_an_artifact_is_no_image(conductor, liar, image):
    image.document["config"]["mediaType"] = "application/vnd.cncf.helm.config.v1+json"
    manifest_is(liar, image, image.document)
    assert "no image but an artifact" in refused(conductor, liar)


def test_addresses_of_foreign_layers_are_not_asked(conductor, liar, other, image):
    data = image.blobs[image.layers[1]["digest"]]
    other.at("/layer", body=data)
    image.document["layers"][1]["urls"] = [f"http://{other.host}/layer"]
    manifest_is(liar, image, image.document)
    del liar.answers[blob_path(image, 1)]
    assert "lie at an address of somebody else" in refused(conductor, liar)
    assert other.seen == []


def test_what_a_registry_says_cannot_steer_the_terminal(conductor, liar, image):
    body = json.dumps({"errors": [{"code": "X", "message": "\x1b[2J\x1b]0;pwned\x07 no"}]}).encode()
    liar.at("/v2/web/manifests/latest", status=400, body=body)
    assert "\x1b" not in refused(conductor, liar)


# ---- bombs


def bomb(plain_megabytes):
    """A gzip stream of a tar archive with one file of zeros. A flushed block means the same wherever it stands."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    info = tarfile.TarInfo("zeros")
    info.size = plain_megabytes << 20
    head = packer.compress(info.tobuf(tarfile.PAX_FORMAT)) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + block * plain_megabytes + packer.flush()


@pytest.fixture(scope="module")
def small_bomb():
    return bomb(9_000)  # 10 MB that grow to 9 GB


def test_a_bomb_ends_at_its_limit(conductor, liar, image, small_bomb):
    assert len(small_bomb) < 11 << 20
    key = image.add(small_bomb)
    image.document["layers"][1] = {"mediaType": OCI_LAYER + "+gzip", "digest": key, "size": len(small_bomb)}
    manifest_is(liar, image, image.document)
    said = refused(conductor, liar, "--limit", "200M", timeout=120)
    assert "as a bomb does" in said and "layer 2/2" in said


def test_the_disk_is_never_filled(conductor, liar, image, small_bomb):
    """On a small disk the guard ends it long before the limit."""
    conductor.ok("images")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300m,mode=700", "none", conductor.root], check=True)
    try:
        key = image.add(small_bomb)
        image.document["layers"][1] = {"mediaType": OCI_LAYER + "+gzip", "digest": key, "size": len(small_bomb)}
        manifest_is(liar, image, image.document)
        lowest = [10**12]
        pull = conductor.start("pull", f"{liar.host}/web")

        def ended():
            disk = os.statvfs(conductor.root)
            lowest[0] = min(lowest[0], disk.f_bavail * disk.f_frsize)
            return pull.poll() is not None

        wait_until(ended, 120)
        said = pull.communicate()[1]
        assert pull.returncode == 1 and "No space left" in said or "free" in said, said
        assert lowest[0] > 5 << 20
        assert conductor.json("images") == []
        disk = os.statvfs(conductor.root)
        assert (disk.f_blocks - disk.f_bfree) * disk.f_frsize < 2 << 20
    finally:
        conductor.root_id = None
        subprocess.run(["umount", conductor.root], check=True)


# ---- the line


@pytest.mark.parametrize("number", [0, 1])
def test_a_download_that_breaks_off_goes_on_where_it_was(conductor, liar, image, number):
    liar.serve(image, "web")
    data = image.blobs[image.layers[number]["digest"]]
    third = len(data) // 3
    liar.break_off(blob_path(image, number), data, [third, 1, 0, third])
    conductor.ok("pull", f"{liar.host}/web")
    ranges = [s["headers"].get("Range") for s in liar.seen if s["path"] == blob_path(image, number)]
    assert ranges == [None, f"bytes={third}-", f"bytes={third + 1}-", f"bytes={third + 1}-", f"bytes={2 * third + 1}-"]
    assert conductor.ok("run", "--rm", f"{liar.host}/web", "--", "cat", "/hello").startswith("hi there\n")


def test_a_server_without_ranges_begins_again(conductor, liar, image):
    liar.serve(image, "web")
    data, left = image.blobs[image.layers[0]["digest"]], [1]

    def whole_each_time(request):
        part = data[:5000] if left and left.pop() else data
        liar.reply(request, body=part, length=len(data))

    liar.at(blob_path(image, 0), whole_each_time)
    conductor.ok("pull", f"{liar.host}/web")


def test_another_part_than_asked_for(conductor, liar, image):
    liar.serve(image, "web")
    data = image.blobs[image.layers[0]["digest"]]

    def shifted(request):
        if not request.headers.get("Range"):
            return liar.reply(request, body=data[:5000], length=len(data))
        return liar.reply(request, status=206, body=data[4000:],
                          headers={"Content-Range": f"bytes 4000-{len(data) - 1}/{len(data)}"})

    liar.at(blob_path(image, 0), shifted)
    assert "another part of the blob" in refused(conductor, liar)


def test_a_download_that_never_ends_is_given_up(conductor, liar, image):
    liar.serve(image, "web")
    data = image.blobs[image.layers[0]["digest"]]
    liar.at(blob_path(image, 0), lambda request: liar.reply(request, body=b"", length=len(data)))
    said = refused(conductor, liar)
    assert f"0 of {len(data)} bytes have come" in said and "the connection broke off" in said


def test_a_stall_is_noticed(conductor, liar, image):
    liar.serve(image, "web")
    data = image.blobs[image.layers[0]["digest"]]
    liar.stall(blob_path(image, 0), data, 0)
    said = refused(conductor, liar, "--timeout", "0.3")
    assert "nothing has come" in said
    liar.stall("/v2/web/manifests/latest", image.manifest, 10)
    assert "nothing has come" in refused(conductor, liar, "--timeout", "0.3")


def test_a_server_that_is_busy_is_asked_again(conductor, liar, image):
    liar.serve(image, "web")
    busy = {"/v2/web/manifests/latest": [503, 429], blob_path(image, 0): [500, 502]}
    for path, statuses in busy.items():
        honest = liar.answers[path]

        def answer(request, statuses=statuses, honest=honest):
            if statuses:
                return liar.reply(request, status=statuses.pop(), headers={"Retry-After": "0"})
            return honest(request)

        liar.at(path, answer)
    conductor.ok("pull", f"{liar.host}/web")
    assert all(not statuses for statuses in busy.values())


def test_a_server_that_stays_busy_is_left(conductor, liar, image):
    liar.serve(image, "web")
    liar.at("/v2/web/manifests/latest", status=429, headers={"Retry-After": "0"})
    assert "has been asked too often" in refused(conductor, liar)
    assert sum(s["path"].endswith("/latest") for s in liar.seen) == 4


# ---- credentials


def challenge(liar, path, realm, then):
    """401 with a bearer challenge until a token comes; then `then` answers."""
    def answer(request):
        if request.headers.get("Authorization", "").startswith("Bearer "):
            return then(request)
        header = f'Bearer realm="{realm}",service="test",scope="repository:web:pull"'
        return liar.reply(request, status=401, headers={"WWW-Authenticate": header})

    liar.at(path, answer)


def test_a_redirect_does_not_take_the_password_along(conductor, liar, other, image, tmp_path):
    """Blobs often lie with a storage service: it gets the question, and nothing of who asks."""
    liar.serve(image, "web")
    for number in (0, 1):
        path = blob_path(image, number)
        other.at("/storage" + path, body=image.blobs[image.layers[number]["digest"]])
        liar.at(path, status=307, headers={"Location": f"http://{other.host}/storage{path}?signature=x"})
    def wants(request, honest=liar.answers["/v2/web/manifests/latest"]):
        if request.headers.get("Authorization") == f"Basic {SECRET}":
            return honest(request)
        return liar.reply(request, status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
    liar.at("/v2/web/manifests/latest", wants)
    conductor.ok("pull", f"{liar.host}/web", env=password(tmp_path, liar.host, other.host))
    assert len(other.seen) == 2 and other.authorizations() == []
    assert any(path == blob_path(image, 0) for path, _ in liar.authorizations())


def test_a_challenge_from_elsewhere_is_not_answered(conductor, liar, other, image, tmp_path):
    """CVE-2020-15157: the place that a blob was redirected to asks for the password."""
    liar.serve(image, "web")
    liar.at(blob_path(image, 0), status=302, headers={"Location": f"http://{other.host}/x"})
    other.at("/x", status=401, headers={"WWW-Authenticate": 'Basic realm="give me"'})
    other.at("/token", body=b'{"token": "x"}')
    said = refused(conductor, liar, env=password(tmp_path, liar.host, other.host))
    assert "wants" in said and other.authorizations() == []
    challenge(other, "/x", f"http://{other.host}/token", lambda request: other.reply(request))
    refused(conductor, liar, env=password(tmp_path, liar.host, other.host))
    assert other.authorizations() == []


def test_a_token_goes_to_its_registry_only(conductor, liar, other, image, tmp_path):
    liar.serve(image, "web")
    honest = liar.answers["/v2/web/manifests/latest"]
    challenge(liar, "/v2/web/manifests/latest", f"http://{other.host}/token", honest)
    other.at("/token", body=b'{"token": "abc"}')
    third = LyingRegistry()
    try:
        liar.at(blob_path(image, 0), status=307, headers={"Location": f"http://{third.host}/x"})
        third.at("/x", body=image.blobs[image.layers[0]["digest"]])
        conductor.ok("pull", f"{liar.host}/web", env=password(tmp_path, liar.host, third.host))
        assert [a for _, a in other.authorizations()] == [f"Basic {SECRET}"]  # the realm, over loopback
        assert {a for _, a in liar.authorizations()} == {"Bearer abc"}
        assert third.authorizations() == []
    finally:
        third.close()


def test_the_token_server_may_not_send_us_on_with_the_password(conductor, liar, other, image, tmp_path):
    liar.serve(image, "web")
    challenge(liar, "/v2/web/manifests/latest", f"http://{liar.host}/token", liar.answers["/v2/web/manifests/latest"])
    liar.at("/token", status=302, headers={"Location": f"http://{other.host}/token"})
    other.at("/token", body=b'{"token": "abc"}')
    conductor.ok("pull", f"{liar.host}/web", env=password(tmp_path, liar.host))
    assert len(other.seen) == 1 and other.authorizations() == []


@pytest.mark.parametrize("realm", ["http://registry.example/token", "ftp://127.0.0.1/x", "file:///etc/passwd", "",
                                   "https://user:secret@host/x", "//host/x", "http://127.0.0.1:99999/x"])
def test_a_realm_that_cannot_have_the_password(conductor, liar, image, tmp_path, realm):
    liar.serve(image, "web")
    challenge(liar, "/v2/web/manifests/latest", realm, liar.answers["/v2/web/manifests/latest"])
    said = refused(conductor, liar, env=password(tmp_path, liar.host))
    assert "without encryption" in said or "is no address" in said
    assert "secret" not in said.replace("user:secret@host", "")


@pytest.mark.parametrize("header", [
    'Bearer realm="http://127.0.0.1/', 'Bearer realm=', 'Bearer realm="a" realm="b"', 'Bearer realm="a", realm="b"',
    "Digest realm=x", "Negotiate", "", "\x01", "Bearer " + 'a="b",' * 3000,
])
def test_challenges_that_cannot_be_answered(conductor, liar, image, tmp_path, header):
    liar.serve(image, "web")
    liar.at("/v2/web/manifests/latest", status=401, headers={"WWW-Authenticate": header})
    said = refused(conductor, liar, env=password(tmp_path, liar.host))
    assert "authentication" in said and liar.authorizations() == []


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"token": 5}', b'{"token": ""}', b'{"token": "a\\r\\nX-Evil: 1"}',
                                  b'{"token": "a b"}', b'{"token": "' + b"x" * 70_000 + b'"}'])
def test_tokens_that_are_none(conductor, liar, image, tmp_path, body):
    liar.serve(image, "web")
    challenge(liar, "/v2/web/manifests/latest", f"http://{liar.host}/token", liar.answers["/v2/web/manifests/latest"])
    liar.at("/token", body=body)
    refused(conductor, liar, env=password(tmp_path, liar.host))
    assert all("X-Evil" not in s["headers"] for s in liar.seen)


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1:70/x", "http://a b/",
                                      "http://user:pw@127.0.0.1/x", "http://127.0.0.1\\@evil/", ""])
def test_redirects_that_lead_nowhere(conductor, liar, image, location):
    liar.serve(image, "web")
    liar.at(blob_path(image, 0), status=307, headers={"Location": location})
    refused(conductor, liar)


def test_redirects_in_a_circle(conductor, liar, image):
    liar.serve(image, "web")
    liar.at(blob_path(image, 0), status=307, headers={"Location": blob_path(image, 0)})
    assert "leads from place to place" in refused(conductor, liar)


def test_a_password_is_not_shown(conductor, liar, image, tmp_path):
    liar.serve(image, "web")
    honest = liar.answers["/v2/web/manifests/latest"]
    challenge(liar, "/v2/web/manifests/latest", f"http://{liar.host}/token", honest)
    liar.at("/token", body=b'{"token": "verysecrettoken"}')
    done = conductor.run("--explain", "pull", f"{liar.host}/web", env=password(tmp_path, liar.host))
    assert done.returncode == 0
    for secret in (SECRET, "verysecrettoken", "user:secret"):
        assert secret not in done.stderr and secret not in done.stdout


# ---- pushing to a liar


def pushable(conductor, liar, image):
    liar.serve(image, "web")
    conductor.ok("pull", f"{liar.host}/web")


def body_of(request):
    """What was sent; nothing with DELETE, by which an upload is left that a mount has begun instead."""
    return request.rfile.read(int(request.headers.get("Content-Length", 0)))


def test_an_upload_elsewhere_goes_without_the_password(conductor, liar, other, image, tmp_path):
    pushable(conductor, liar, image)

    def begin(request):
        if request.headers.get("Authorization") != f"Basic {SECRET}":
            return liar.reply(request, status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
        return liar.reply(request, status=202, headers={"Location": f"http://{other.host}/upload"})

    liar.at("/v2/copy/blobs/uploads/", begin)

    def take(request):
        body_of(request)
        other.reply(request, status=201)

    other.at("/upload", take)

    def store(request):
        liar.reply(request, status=201, headers={"Docker-Content-Digest": digest(body_of(request))})

    liar.at("/v2/copy/manifests/latest", store)
    conductor.ok("push", f"{liar.host}/web", f"{liar.host}/copy", env=password(tmp_path, liar.host, other.host))
    assert [s["method"] for s in other.seen].count("PUT") == 3 and other.authorizations() == []


def test_a_registry_that_stores_another_manifest(conductor, liar, image):
    pushable(conductor, liar, image)
    liar.at("/v2/copy/blobs/uploads/", status=202, headers={"Location": "/upload"})

    def take(request):
        body_of(request)
        liar.reply(request, status=201, headers={"Docker-Content-Digest": digest(b"other")})

    liar.at("/upload", take)
    liar.at("/v2/copy/manifests/latest", take)
    assert "has stored another manifest" in conductor.fails("push", f"{liar.host}/web", f"{liar.host}/copy")


def test_an_upload_that_is_refused(conductor, liar, image):
    pushable(conductor, liar, image)
    liar.at("/v2/copy/blobs/uploads/", status=403,
            body=json.dumps({"errors": [{"code": "DENIED", "message": "no"}]}).encode())
    said = conductor.fails("push", f"{liar.host}/web", f"{liar.host}/copy")
    assert "refuses it (DENIED: no)" in said and "conductor login" in said
