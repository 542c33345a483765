// The busybox image: one static program, a link for each of its applets, and the few files that every program expects.
// It needs no network: the program comes from the distribution's busybox-static, kept in our share directory.
#include "core/image/bases.h"

#include "core/base/error.h"
#include "core/image/content_index.h"
#include "core/image/digest.h"
#include "core/kernel/copy.h"
#include "core/kernel/files.h"
#include "core/kernel/inroot.h"
#include "core/kernel/own_program.h"
#include "core/kernel/process.h"

#include <algorithm>

#include <fcntl.h>
#include <sys/stat.h>

namespace conductor::image {
namespace {

constexpr const char* host_busybox = "/bin/busybox";

std::string directory_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

// A program that needs no loader and no library can run in an empty tree.
bool is_static(const std::string& path)
{
  const Fd fd{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  struct stat status {};
  if (!fd || fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) return false;
  std::string head(4096, '\0');
  const ssize_t got = pread(fd.get(), head.data(), head.size(), 0);
  head.resize(got > 0 ? static_cast<size_t>(got) : 0);
  const kernel::ProgramHead program = kernel::read_program_head(head);
  return program.kind == kernel::ProgramHead::Kind::elf && program.interpreter.empty() && program.native;
}

std::string find_busybox()
{
  const std::string here = directory_of(kernel::own_program());
  // A build directory; PREFIX/bin; PREFIX/lib(exec)/conductor.
  for (const char* share : {"/share/busybox", "/../share/conductor/busybox", "/../../share/conductor/busybox"})
    if (is_static(here + share)) return here + share;
  if (is_static(host_busybox)) return host_busybox;
  throw Error{"there is no static busybox to make the busybox image from", 0,
              "./bootstrap build fetches one, or install the package busybox-static"};
}

// "bin/ls", "usr/sbin/chroot" ...
std::vector<std::string> applets(Trace& trace, const std::string& busybox)
{
  const auto listed = kernel::run_program(trace, {busybox, "--list-full"}, {}, "/", kernel::Output::kept);
  if (listed.status.shell() != 0)
    throw Error{busybox + " --list-full ended with " + std::to_string(listed.status.shell())};
  std::vector<std::string> paths;
  std::string_view rest = listed.tail;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view path = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const bool plain = path.find("..") == std::string_view::npos && !path.starts_with('/') && !path.empty();
    if (plain && path != "bin/busybox" && path != "linuxrc") paths.emplace_back(path);
  }
  return paths;
}

struct Place {
  const char* path;
  mode_t mode;
};
constexpr Place directories[] = {
    {"bin", 0755},       {"dev", 0755},      {"etc", 0755},       {"home", 0755},     {"lib", 0755},
    {"mnt", 0755},       {"opt", 0755},      {"proc", 0555},      {"root", 0700},     {"run", 0755},
    {"sbin", 0755},      {"srv", 0755},      {"sys", 0555},       {"tmp", 01777},     {"usr", 0755},
    {"usr/bin", 0755},   {"usr/sbin", 0755}, {"usr/local", 0755}, {"var", 0755},      {"var/log", 0755},
    {"var/spool", 0755}, {"var/lib", 0755},  {"var/www", 0755},   {"var/tmp", 01777}, {"usr/local/bin", 0755},
};

struct File {
  const char* path;
  const char* content;
  mode_t mode = 0644;
};
constexpr File files[] = {
    {"etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"
                   "daemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
                   "bin:x:2:2:bin:/bin:/bin/false\n"
                   "www-data:x:33:33:www-data:/var/www:/bin/false\n"
                   "nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"},
    {"etc/group", "root:x:0:\ndaemon:x:1:\nbin:x:2:\ntty:x:5:\nwww-data:x:33:\nnogroup:x:65534:\n"},
    {"etc/shadow", "root:*:::::::\ndaemon:*:::::::\nbin:*:::::::\nwww-data:*:::::::\nnobody:*:::::::\n", 0640},
    {"etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"},
    {"etc/profile", "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"},
    {"etc/resolv.conf", ""},
    {"etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"},
    {"etc/hostname", ""},
};

void copy_program(Trace& trace, const std::string& busybox, int tree)
{
  Step step{trace, "copy busybox", busybox};
  const Fd root = kernel::open_directory(AT_FDCWD, directory_of(busybox) + "/.");
  const std::string name = busybox.substr(busybox.rfind('/') + 1);
  const Fd program = kernel::open_in_root(root.get(), name, O_RDONLY);
  kernel::CopyPlan plan{.source_root = root.get(), .root = tree, .text = "cp -a " + busybox + " /bin/busybox"};
  kernel::CopyItem item{.source = name, .target = "bin/busybox", .facts = kernel::facts_of(program.get(), busybox)};
  item.facts.mode = S_IFREG | 0755;
  plan.items.push_back(std::move(item));
  kernel::copy_into_root(trace, plan, step);
  step.done();
}

} // namespace

// Every build from busybox asks, so what two megabytes hash to is remembered: where builds have their directory
// already.
std::string busybox_key(const Context& context)
{
  const std::string path = find_busybox();
  const Fd fd{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!fd) throw Error{"open " + path, errno};
  const kernel::FileFacts facts = kernel::facts_of(fd.get(), path);
  const Fd share = kernel::open_directory(AT_FDCWD, directory_of(path) + "/.");
  ContentIndex index{context.root, share.get(), "busybox"};
  if (const KnownContent* known = index.find(facts)) return hex_of(known->digest);
  Digest digest;
  digest.field("busybox 1").file(fd.get(), path);
  const RawDigest key = digest.raw();
  index.note(facts, {.digest = key});
  if (kernel::exists(context.root.dir(), "build")) index.save();
  return hex_of(key);
}

void fill_busybox(Context& context, const std::string& tree)
{
  Trace& trace = context.trace;
  const std::string busybox = find_busybox();
  const Fd top = kernel::open_directory(context.root.dir(), tree);
  const mode_t mask = umask(0);
  for (const Place& place : directories) kernel::make_directory(trace, top.get(), place.path, place.mode);
  for (const File& file : files) kernel::write_file(trace, top.get(), file.path, file.content, file.mode);
  umask(mask);
  copy_program(trace, busybox, top.get());
  for (const std::string& applet : applets(trace, busybox)) {
    const std::string directory = directory_of(applet);
    if (!kernel::exists(top.get(), directory)) continue;
    kernel::make_symlink(trace, "/bin/busybox", top.get(), applet);
  }
}

} // namespace conductor::image
