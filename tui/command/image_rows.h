// The rows of the verbs about images: half of the table that verbs.h describes.
#pragma once

#include "tui/command/runs.h"
#include "tui/command/verbs.h"

#include <array>

namespace conductor::command {

inline constexpr Option build_options[] = {
    {"context", 0, "DIR", "the directory that COPY reads (that of FILE)"},
    {"build-arg", 0, "K=V", "a value for ARG K", true},
    {"secret", 0, "id=NAME,src=FILE", "a file that RUN --mount=type=secret shows (or env=VARIABLE)", true},
    {"target", 0, "STAGE", "stop after this stage"},
    {"no-cache", 0, {}, "make every layer anew"},
    {"network", 0, "none|host|internet", "what RUN reaches; internet: by a link of its own (internet)"},
};

// What pull, push and login have in common, behind what is each one's own.
template <class... Own>
constexpr std::array<Option, sizeof...(Own) + 4> and_registry_options(Own... own)
{
  return {own..., Option{"plain-http", 0, {}, "speak to this registry without encryption"},
          Option{"tls-ca", 0, "FILE", "certificates (PEM) to trust besides this host's"},
          Option{"tls-verify", 0, "true|false", "whether its certificate must be right (true)"},
          Option{"timeout", 0, "SECONDS", "give up when nothing has come for so long (30)"}};
}
inline constexpr auto pull_options = and_registry_options(
    Option{"quiet", 'q', {}, "print the names only"},
    Option{"limit", 0, "SIZE", "how large one layer may become unpacked (4G, or 100 times its packed size)"});
inline constexpr auto push_options = and_registry_options();
inline constexpr auto login_options =
    and_registry_options(Option{"username", 'u', "USER", "who you are there"},
                         Option{"password-stdin", 0, {}, "read the password from stdin"});

inline constexpr Option save_options[] = {
    {"output", 'o', "FILE", "where to: a file, or a directory for a layout (stdout)"},
    {"format", 0, "oci|docker", "oci: read by docker as well; docker: as docker up to 24 wrote them (oci)"},
};
inline constexpr Option load_options[] = {
    {"name", 0, "NAME", "what the archive's one image is called here"},
    {"input", 'i', "FILE", "the same as FILE behind the verb"},
};
inline constexpr Option export_options[] = {{"output", 'o', "FILE", "where to (stdout)"}};
inline constexpr Option commit_options[] = {
    {"no-pause", 0, {}, "let the container go on while it is read"},
    {"author", 'a', "WHO", "who made the image"},
    {"message", 'm', "TEXT", "what for"},
};
inline constexpr Option df_options[] = {
    {"verbose", 'v', {}, "each layer, packed layer and container, with who needs it"}};
inline constexpr Option prune_options[] = {{"force", 'f', {}, "do not ask"},
                                           {"volumes", 0, {}, "also volumes that no container uses"}};

inline constexpr Option list_options[] = {
    {"quiet", 'q', {}, "names only"},
    {"filter", 'f', "KEY=VALUE", "only rows whose KEY contains VALUE; a bare word looks at the name", true},
};

inline constexpr Verb image_rows[] = {
    {.name = "build",
     .group = Group::images,
     .names = "NAME [FILE]",
     .help = "make an image from a build file",
     .more =
         "FILE is ./Conductorfile, else ./Dockerfile; with neither, NAME becomes the configured default base. - reads "
         "it from stdin, and then there is no context but that of --context. Each COPY and RUN is a layer, and is "
         "taken from the cache when nothing that it depends on has changed.",
     .example = "build web Conductorfile",
     .options = build_options,
     .least = 1,
     .most = 2,
     .shows_progress = true,
     .home = Home::images,
     .run = run_build,
     .keys = {{"b", "build", "build", {}, Danger::changes, Needs::nothing}}},
    {.name = "pull",
     .group = Group::images,
     .names = "IMAGE...",
     .help = "get images from a registry",
     .more = "IMAGE is [REGISTRY/]NAME[:TAG] or NAME@sha256:DIGEST; without a registry the configured one is asked. Of "
             "an image for several platforms this machine's is taken. Layers that are here are not fetched again.",
     .example = "pull quay.io/team/web:2",
     .options = pull_options,
     .least = 1,
     .most = any_number,
     .shows_progress = true,
     .home = Home::images,
     .completes = "image",
     .run = run_pull,
     .keys = {{"P", "pull", "pull", {}, Danger::changes, Needs::nothing}}},
    {.name = "push",
     .group = Group::images,
     .names = "IMAGE [AS]",
     .help = "send an image to a registry",
     .more = "AS is its name there, with the registry; without it the image's own name says where it goes. What the "
             "registry has already is not sent.",
     .example = "push web quay.io/team/web:2",
     .options = push_options,
     .least = 1,
     .most = 2,
     .shows_progress = true,
     .home = Home::images,
     .completes = "image",
     .run = run_push},
    {.name = "login",
     .group = Group::images,
     .names = "[REGISTRY]",
     .help = "try a password at a registry and keep it",
     .more = "It is kept where podman and skopeo look too: $REGISTRY_AUTH_FILE, else containers/auth.json in "
             "$XDG_RUNTIME_DIR or /run/containers/UID, or by the helper that this file names.",
     .example = "login quay.io -u robot --password-stdin",
     .options = login_options,
     .most = 1,
     .home = Home::images,
     .run = run_login},
    {.name = "logout",
     .group = Group::images,
     .names = "[REGISTRY]",
     .help = "forget the password of a registry",
     .example = "logout quay.io",
     .most = 1,
     .home = Home::images,
     .run = run_logout},
    {.name = "images",
     .group = Group::images,
     .names = "",
     .help = "list images",
     .example = "images --filter base=debian",
     .options = list_options,
     .run = run_images},
    {.name = "rmi",
     .group = Group::images,
     .names = "IMAGE...",
     .help = "delete images that no container uses",
     .example = "rmi web:old",
     .least = 1,
     .most = any_number,
     .completes = "image",
     .run = run_rmi,
     .keys = {{"D", "delete_image", "delete", {}, Danger::asks, Needs::image}}},
    {.name = "rmcache",
     .group = Group::images,
     .names = "",
     .help = "delete build cache that no image needs",
     .example = "rmcache",
     .run = run_rmcache},
    {.name = "tag",
     .group = Group::images,
     .names = "IMAGE NAME",
     .help = "give an image another name",
     .example = "tag web registry.example/team/web:2",
     .least = 2,
     .most = 2,
     .completes = "image",
     .run = run_tag},
    {.name = "history",
     .group = Group::images,
     .names = "IMAGE",
     .help = "the steps that made an image, newest first",
     .example = "history web",
     .least = 1,
     .most = 1,
     .completes = "image",
     .run = run_history},
    {.name = "save",
     .group = Group::images,
     .names = "IMAGE...",
     .help = "write images to an archive that other programs read",
     .more =
         "An OCI layout, as a tar archive or (when FILE is a directory or ends in /) as a directory. Layers leave with "
         "the digests that they came with.",
     .example = "save web -o web.tar",
     .options = save_options,
     .least = 1,
     .most = any_number,
     .home = Home::images,
     .completes = "image",
     .run = run_exchange},
    {.name = "load",
     .group = Group::images,
     .names = "[FILE]",
     .help = "take images from an archive or a layout",
     .more =
         "FILE is a tar archive (packed or not) or a directory, in the OCI layout or as docker saves; stdin when it is "
         "left out or is -. Every layer is checked against its digest, and nothing of an archive that fails is kept.",
     .example = "load web.tar",
     .options = load_options,
     .most = 1,
     .shows_progress = true,
     .home = Home::images,
     .run = run_exchange},
    {.name = "export",
     .group = Group::images,
     .names = "NAME",
     .help = "write the files of a container or an image as a tar archive",
     .more = "A running container stands still while it is read.",
     .example = "export web -o files.tar",
     .options = export_options,
     .least = 1,
     .most = 1,
     .home = Home::images,
     .completes = "container",
     .run = run_exchange},
    {.name = "import",
     .group = Group::images,
     .names = "FILE NAME",
     .help = "make an image of one layer from a tar archive of files",
     .more = "FILE may be packed with gzip or zstd; - is stdin.",
     .example = "import files.tar web",
     .least = 2,
     .most = 2,
     .home = Home::images,
     .run = run_exchange},
    {.name = "commit",
     .group = Group::images,
     .names = "CONTAINER NAME",
     .help = "make an image from a container and what it wrote",
     .more =
         "What the container was started with (command, environment, user) becomes the image's. A running container "
         "stands still while it is read.",
     .example = "commit web web:tuned",
     .options = commit_options,
     .least = 2,
     .most = 2,
     .home = Home::images,
     .completes = "container",
     .run = run_exchange},
    {.name = "df",
     .group = Group::images,
     .names = "",
     .help = "the room that images, cache and containers take",
     .more =
         "Counts from what each object says of itself. What containers wrote, and what RUN keeps in its caches, nobody "
         "writes down: -v looks at each of those files.",
     .example = "df -v",
     .options = df_options,
     .run = run_df},
    {.name = "prune",
     .group = Group::images,
     .names = "",
     .help = "delete what no image and no container needs",
     .more = "Images without a name, the build cache that no image needs, packed layers of images that are gone. Asks "
             "first, unless --force is given.",
     .example = "prune --force",
     .options = prune_options,
     .run = run_prune},
};

} // namespace conductor::command
