// debian:SUITE and ubuntu:SUITE: the distribution's own tool makes a minimal root tree, from where the host's apt gets
// its packages or from the configured mirror. mmdebstrap where it is installed, since it is three times as fast and
// takes updates and security at once; else debootstrap.
//
// The tool runs as one step, in mount and pid namespaces of its own, and dies with us: what it mounts or starts is gone
// when it ends, however it ends.
#include "core/image/bases.h"

#include "core/base/error.h"
#include "core/image/apt.h"
#include "core/image/digest.h"
#include "core/kernel/files.h"
#include "core/kernel/process.h"

#include <algorithm>
#include <cstdlib>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

namespace conductor::image {
namespace {

struct Archive {
  std::vector<SuiteSource> sources;
  bool configured = false; // from our configuration, not from the host's apt
};

Archive find_archive(const Context& context, const Base& base)
{
  const auto mirror = context.config.mirrors.find(base.name);
  if (mirror != context.config.mirrors.end()) {
    SuiteSource source{.uri = mirror->second.url, .suite = base.suite, .components = "main"};
    source.signed_by = mirror->second.keyring;
    return {{std::move(source)}, true};
  }
  auto sources = choose_sources(read_sources(""), base.name, base.suite, suites_of(base.name));
  if (sources.empty())
    throw Error{fmt::format("this host's apt knows no archive of {}", base.name), 0,
                fmt::format(R"(name one in {}: {{"mirrors": {{"{}": "http://HOST/{}"}}}})", default_config_path,
                            base.name, base.name)};
  return {std::move(sources), false};
}

// In PATH of the host, as run_program() will look it up.
bool is_installed(const char* program)
{
  for (const char* directory : {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"})
    if (access((std::string{directory} + "/" + program).c_str(), X_OK) == 0) return true;
  return false;
}

// Proxies: of the environment, as apt has them too. Nothing else of it may reach the maintainer scripts.
std::vector<std::string> environment()
{
  std::vector<std::string> env{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
                               "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", "TERM=dumb"};
  for (const char* name : {"http_proxy", "https_proxy", "ftp_proxy", "no_proxy"})
    if (const char* value = std::getenv(name)) env.push_back(std::string{name} + "=" + value);
  return env;
}

// How the host's apt gets to its archives: proxies, certificates, retries. As configuration lines for another apt.
std::vector<std::string> host_apt_options(Trace& trace)
{
  std::vector<std::string> options;
  const auto dumped =
      kernel::run_program(trace, {"apt-config", "dump", "--no-empty", "Acquire::http", "Acquire::https"}, environment(),
                          "/", kernel::Output::kept);
  if (dumped.status.shell() != 0) return options;
  std::string_view rest = dumped.tail;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.starts_with("Acquire::http") && line.ends_with("\";")) options.emplace_back(line);
  }
  return options;
}

std::string option_value(const std::vector<std::string>& options, std::string_view name)
{
  for (const std::string& line : options) {
    if (!line.starts_with(name) || line.size() < name.size() + 4 || line[name.size()] != ' ') continue;
    return line.substr(name.size() + 2, line.size() - name.size() - 4); // NAME "VALUE";
  }
  return {};
}

// The file of a key, on the host: as named, or written out when the key itself stood in apt's sources.
std::string keyring_file(Trace& trace, const Context& context, const SuiteSource& source, const std::string& workshop,
                         const std::string& distribution)
{
  if (source.signed_by.starts_with("-----BEGIN")) {
    kernel::write_file(trace, context.root.dir(), workshop + "/keyring.asc", source.signed_by, 0644);
    return context.root.path() + "/" + workshop + "/keyring.asc";
  }
  if (source.signed_by.starts_with('/')) {
    if (!kernel::exists(AT_FDCWD, source.signed_by))
      throw Error{"the keyring " + source.signed_by + " of " + distribution, ENOENT,
                  "install " + distribution + "-archive-keyring, or name another in the configuration"};
    return source.signed_by;
  }
  const std::string usual = "/usr/share/keyrings/" + distribution + "-archive-keyring.gpg";
  return kernel::exists(AT_FDCWD, usual) ? usual : "";
}

// The tool in namespaces of its own. setpriv: it gets SIGKILL when we die; --kill-child: and then all below it.
std::vector<std::string> contained()
{
  return {"setpriv", "--pdeathsig",  "KILL",         "unshare",       "--mount", "--pid",
          "--fork",  "--kill-child", "--mount-proc", "--propagation", "slave",   "--"};
}

struct Tool {
  Context& context;
  const Base& base;
  const Archive& archive;
  std::string keyring; // file on the host, or empty: what the host's apt trusts
  std::string target;  // absolute
  bool secure = false; // an https archive: the image needs certificates to go on using it
  std::vector<std::string> apt_options;
};

// Packages of Debian's "slim" images leave these out, and go on doing so when more is installed.
constexpr const char* slim_options[] = {
    "path-exclude=/usr/share/doc/*",    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/man/*",    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*", "path-include=/usr/share/locale/locale.alias"};

std::vector<std::string> mmdebstrap(const Tool& tool)
{
  std::vector<std::string> argv = contained();
  const auto add = [&](std::initializer_list<std::string> more) { argv.insert(argv.end(), more); };
  // unsafe-io: nothing of the tree is worth an fsync before the layer is complete.
  add({"mmdebstrap", "--variant=minbase", "--mode=root", "--skip=check/empty,check/signed-by",
       "--dpkgopt=force-unsafe-io", "--aptopt=Acquire::Languages \"none\"", "--aptopt=APT::Sandbox::User \"root\""});
  for (const std::string& option : tool.apt_options) argv.push_back("--aptopt=" + option);
  // Without it apt chooses the package that merges /usr afterwards, and with that the whole of perl (50 MB).
  constexpr const char* merged_usr = "/usr/share/mmdebstrap/hooks/maybe-merged-usr";
  if (kernel::exists(AT_FDCWD, merged_usr)) argv.push_back(std::string{"--hook-dir="} + merged_usr);
  if (tool.base.slim)
    for (const char* option : slim_options) argv.push_back(std::string{"--dpkgopt="} + option);
  if (!tool.keyring.empty()) argv.push_back("--keyring=" + tool.keyring);
  // apt is "required" in Debian's archive and only "important" elsewhere.
  argv.emplace_back(tool.secure ? "--include=apt,ca-certificates" : "--include=apt");
  add({tool.base.suite, tool.target});
  for (const SuiteSource& source : tool.archive.sources) argv.push_back(one_line(source, tool.keyring));
  return argv;
}

std::vector<std::string> debootstrap(const Tool& tool)
{
  std::vector<std::string> argv = contained();
  argv.insert(argv.end(), {"debootstrap", "--variant=minbase"});
  if (!tool.keyring.empty()) argv.push_back("--keyring=" + tool.keyring);
  if (tool.archive.sources.front().trusted) argv.emplace_back("--no-check-gpg");
  if (tool.secure) argv.emplace_back("--include=ca-certificates");
  argv.insert(argv.end(), {tool.base.suite, tool.target, tool.archive.sources.front().uri});
  // A suite without a script of its own (a new one) is made like the newest that has one.
  const std::string script = "/usr/share/debootstrap/scripts/" + tool.base.suite;
  if (!kernel::exists(AT_FDCWD, script)) argv.push_back(tool.base.name == "ubuntu" ? "gutsy" : "sid");
  return argv;
}

// The last lines that a tool printed are usually its reason.
std::string last_lines(const std::string& text)
{
  std::string_view rest = text;
  while (!rest.empty() && rest.back() == '\n') rest.remove_suffix(1);
  const size_t begin = rest.rfind("\nE: ");
  if (begin != std::string_view::npos) rest.remove_prefix(begin + 1);
  rest = rest.substr(0, rest.find('\n'));
  return visible(rest, 200);
}

void run_tool(const Tool& tool)
{
  const bool fast = is_installed("mmdebstrap");
  if (!fast && !is_installed("debootstrap"))
    throw Error{"neither mmdebstrap nor debootstrap is installed", 0, "apt-get install mmdebstrap"};
  const auto argv = fast ? mmdebstrap(tool) : debootstrap(tool);
  auto env = environment();
  for (const char* name : {"http", "https"}) {
    const std::string proxy = option_value(tool.apt_options, "Acquire::" + std::string{name} + "::Proxy");
    if (!proxy.empty() && proxy != "DIRECT") env.push_back(std::string{name} + "_proxy=" + proxy);
  }
  const auto result = kernel::run_program(tool.context.trace, argv, env);
  if (result.status.shell() == 0) return;
  throw Error{fmt::format("{} could not make {}: {}", fast ? "mmdebstrap" : "debootstrap", tool.base.reference(),
                          last_lines(result.tail)),
              0,
              tool.archive.configured
                  ? "the archive is mirrors." + tool.base.name + " of the configuration"
                  : "the archive is the one that this host's apt uses; the configuration can name another"};
}

// ---- afterwards: what belongs into an image and what does not

struct File {
  const char* path;
  const char* content;
};
// Packages are not kept after their installation, services do not start by being installed (there is no init to start
// them), dpkg need not fsync files of a layer.
constexpr File files[] = {
    {"etc/apt/apt.conf.d/90conductor", "Acquire::Languages \"none\";\nAcquire::GzipIndexes \"true\";\n"
                                       "DPkg::Post-Invoke { \"rm -f /var/cache/apt/archives/*.deb "
                                       "/var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true\"; };\n"
                                       "APT::Update::Post-Invoke { \"rm -f /var/cache/apt/*.bin || true\"; };\n"
                                       "Dir::Cache::pkgcache \"\";\nDir::Cache::srcpkgcache \"\";\n"},
    {"etc/dpkg/dpkg.cfg.d/90conductor", "force-unsafe-io\n"},
    {"etc/machine-id", ""},
    {"etc/hostname", ""},
    {"etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"},
    {"etc/resolv.conf", ""},
};

// The content of these goes; the directories stay.
constexpr const char* emptied[] = {"dev", "var/cache/apt", "var/lib/apt/lists", "tmp", "run", "var/log/apt"};
constexpr const char* removed[] = {"debootstrap",
                                   "var/log/bootstrap.log",
                                   "var/log/dpkg.log",
                                   "var/log/alternatives.log",
                                   "var/cache/ldconfig/aux-cache",
                                   "etc/apt/apt.conf.d/99mmdebstrap",
                                   "etc/passwd-",
                                   "etc/group-",
                                   "etc/shadow-",
                                   "etc/gshadow-",
                                   "var/lib/dpkg/status-old",
                                   "var/lib/dpkg/available-old",
                                   "var/lib/dbus/machine-id",
                                   "var/cache/debconf/config.dat-old",
                                   "var/cache/debconf/templates.dat-old"};

void empty_directory(Trace& trace, int tree, const std::string& path)
{
  const auto fd = kernel::find_directory(tree, path);
  if (!fd) return;
  for (const std::string& name : kernel::list_directory(fd->get(), ".")) kernel::remove_tree(trace, fd->get(), name);
}

// What the image's apt will read. The keyring: the distribution's own inside the image, or a copy of a foreign one.
void write_sources(Trace& trace, const Tool& tool, int tree)
{
  std::string inside = "usr/share/keyrings/" + tool.base.name + "-archive-keyring.gpg";
  if (!kernel::exists(tree, inside)) inside.clear();
  const bool usual =
      tool.keyring.empty() || tool.keyring == "/" + inside || tool.keyring.starts_with("/usr/share/keyrings/");
  if (!usual) {
    // apt takes the form from the ending: .asc is text, .gpg is binary.
    inside = std::string{"usr/share/keyrings/conductor-mirror"} + (tool.keyring.ends_with(".asc") ? ".asc" : ".gpg");
    const mode_t mask = umask(0);
    kernel::make_directories(trace, tree, "usr/share/keyrings", 0755);
    kernel::write_file(trace, tree, inside, kernel::read_file(AT_FDCWD, tool.keyring), 0644);
    umask(mask);
  }
  std::string text;
  for (const SuiteSource& source : tool.archive.sources)
    text += one_line(source, inside.empty() ? "" : "/" + inside) + "\n";
  kernel::remove_tree(trace, tree, "etc/apt/sources.list");
  kernel::remove_tree(trace, tree, "etc/apt/sources.list.d/0000.sources"); // mmdebstrap's form for deb822 input
  kernel::write_file(trace, tree, "etc/apt/sources.list", text, 0644);
}

void clean(Trace& trace, const Tool& tool, int tree)
{
  Step step{trace, "clean the tree", "device nodes, caches and lists have no place in an image"};
  for (const char* path : emptied) empty_directory(trace, tree, path);
  for (const char* path : removed) kernel::remove_tree(trace, tree, path);
  const mode_t mask = umask(0);
  for (const char* path :
       {"var/cache/apt/archives/partial", "var/lib/apt/lists/partial", "etc/apt/apt.conf.d", "etc/dpkg/dpkg.cfg.d"})
    kernel::make_directories(trace, tree, path, 0755);
  kernel::make_directory(trace, tree, "run/lock",
                         01777); // /var/lock leads there, and nobody else makes it in a container
  for (const File& file : files) {
    kernel::remove_file(trace, tree, file.path); // /etc/resolv.conf may be a link of the host's making
    kernel::write_file(trace, tree, file.path, file.content, 0644);
  }
  umask(mask);
  write_sources(trace, tool, tree);
  step.done();
}

} // namespace

std::string distribution_key(const Context& context, const Base& base)
{
  const Archive archive = find_archive(context, base);
  utsname machine{};
  uname(&machine);
  Digest digest;
  digest.field("distribution 1").field(base.reference()).field(machine.machine);
  for (const SuiteSource& source : archive.sources) digest.field(one_line(source, source.signed_by));
  return digest.hex();
}

void fill_distribution(Context& context, const Base& base, const std::string& tree, const std::string& workshop)
{
  const Archive archive = find_archive(context, base);
  Tool tool{.context = context, .base = base, .archive = archive};
  tool.keyring = keyring_file(context.trace, context, archive.sources.front(), workshop, base.name);
  tool.target = context.root.path() + "/" + tree;
  tool.secure = std::any_of(archive.sources.begin(), archive.sources.end(),
                            [](const SuiteSource& source) { return source.uri.starts_with("https:"); });
  if (is_installed("apt-config")) tool.apt_options = host_apt_options(context.trace);
  run_tool(tool);
  const Fd top = kernel::open_directory(context.root.dir(), tree);
  clean(context.trace, tool, top.get());
}

} // namespace conductor::image
