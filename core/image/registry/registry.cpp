#include "core/image/registry/registry.h"

#include "core/container/spec.h"
#include "core/kernel/files.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

namespace conductor::image::registry {
namespace {

constexpr size_t longest_certificates = 4 << 20;

std::string without_scheme(const std::string& address)
{
  const size_t end = address.find("://");
  return end == std::string::npos ? address : address.substr(end + 3);
}

// Where a registry of this name answers.
std::string address_of(const std::string& name)
{
  return name == "docker.io" || name == "index.docker.io" ? "registry-1.docker.io" : name;
}

std::string read_certificates(const std::string& file)
{
  const Fd fd{::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (!fd) throw Error{"read the certificates in " + file, errno};
  std::string text = kernel::read_all(fd.get(), "the certificates in " + file, longest_certificates);
  if (text.find("-----BEGIN CERTIFICATE-----") == std::string::npos)
    throw Error{"read the certificates in " + file + ": there are none", 0, "PEM is read: -----BEGIN CERTIFICATE-----"};
  return text + "\n";
}

// What administrators have put down for one registry, as docker and podman read it (containers-certs.d(5)): *.crt are
// authorities, NAME.cert with NAME.key is who we are.
void add_certificates(TransportOptions& transport, const std::string& host)
{
  for (const char* place : {"/etc/containers/certs.d/", "/etc/docker/certs.d/"}) {
    const std::string directory = place + host;
    if (::access(directory.c_str(), F_OK) != 0) continue;
    for (const std::string& name : kernel::list_directory(AT_FDCWD, directory)) {
      const std::string path = directory + "/" + name;
      if (name.ends_with(".crt")) transport.authorities += read_certificates(path);
      if (name.ends_with(".cert")) {
        transport.client_certificate = path;
        transport.client_key = path.substr(0, path.size() - 5) + ".key";
      }
    }
    return;
  }
}

std::unique_ptr<Endpoint> make_endpoint(const std::string& address, const Options& options, bool is_mirror)
{
  auto endpoint = std::make_unique<Endpoint>();
  const bool says_plain = address.starts_with("http://");
  endpoint->name = without_scheme(address);
  while (endpoint->name.ends_with('/')) endpoint->name.pop_back();
  const std::string host = address_of(endpoint->name);
  if (!is_host_and_port(host))
    throw Error{"'" + visible(address) + "' is no registry", 0, "a registry is a host: quay.io, localhost:5000"};
  endpoint->is_mirror = is_mirror;
  // The options are about the registry that was named, not about the mirrors of the configuration.
  endpoint->plain_allowed = says_plain || (options.plain_http && !is_mirror);
  endpoint->base = parse_url((endpoint->plain_allowed ? "http://" : "https://") + host);
  endpoint->scheme_known = endpoint->plain_allowed || address.starts_with("https://") || !endpoint->base.is_loopback();
  endpoint->transport.stall = options.stall;
  endpoint->transport.verify = options.verify || is_mirror;
  endpoint->transport.client_origin = endpoint->base.origin();
  if (!options.ca_file.empty()) endpoint->transport.authorities = read_certificates(options.ca_file);
  add_certificates(endpoint->transport, endpoint->name);
  return endpoint;
}

bool has_host(std::string_view reference)
{
  const size_t slash = reference.find('/');
  if (slash == std::string_view::npos) return false;
  const std::string_view first = reference.substr(0, slash);
  return first == "localhost" || first.find_first_of(".:") != std::string_view::npos;
}

bool is_digits(std::string_view text) { return text.find_first_not_of("0123456789") == std::string_view::npos; }

// localhost and addresses are hosts whatever follows; a name with a dot is one when it has what can be a port.
bool is_host_alone(std::string_view word)
{
  const size_t colon = word.find(':');
  const std::string_view name = word.substr(0, colon);
  const bool is_address =
      name.find('.') != std::string_view::npos && name.find_first_not_of("0123456789.") == name.npos;
  if (name == "localhost" || is_address) return colon == std::string_view::npos || is_digits(word.substr(colon + 1));
  return name.find('.') != std::string_view::npos && colon != std::string_view::npos && word.size() - colon > 3 &&
         is_digits(word.substr(colon + 1)); // web.app:12 is a version
}

} // namespace

std::string RemoteName::text() const
{
  return registry + "/" + repository + (digest.empty() ? ":" + tag : "@" + digest);
}

RemoteName remote_name(const std::string& reference, const Config& config)
{
  if (reference.starts_with("id:"))
    throw usage_error("'" + visible(reference) + "' is an id of this host; a registry knows images by name");
  RemoteName name;
  std::string_view rest = reference;
  if (has_host(rest)) {
    const size_t slash = rest.find('/');
    name.registry = rest.substr(0, slash);
    rest.remove_prefix(slash + 1);
  } else {
    name.registry = without_scheme(config.registry);
    while (name.registry.ends_with('/')) name.registry.pop_back();
  }
  if (const size_t at = rest.find('@'); at != std::string_view::npos) {
    name.digest = rest.substr(at + 1);
    rest = rest.substr(0, at);
  } else if (const size_t colon = rest.rfind(':'); colon != std::string_view::npos) {
    name.tag = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
  } else {
    name.tag = "latest";
  }
  name.repository = rest;
  if (name.registry == "index.docker.io") name.registry = "docker.io";
  if (name.registry == "docker.io" && rest.find('/') == std::string_view::npos)
    name.repository = "library/" + name.repository;
  return name;
}

void check_has_image(std::string_view word, const std::string& image)
{
  const size_t slash = word.find('/');
  const std::string_view host = word.substr(0, slash);
  const bool is_alone = slash == std::string_view::npos ? is_host_alone(host) : slash + 1 == word.size();
  if (is_alone)
    throw usage_error("'" + visible(word) + "' names a registry and no image there",
                      "write " + visible(host) + "/" + image);
}

Registry::Registry(const Config& config, const std::string& name, const Options& options) : name_(name)
{
  const auto mirrors = config.registry_mirrors.find(name);
  if (mirrors != config.registry_mirrors.end())
    for (const std::string& mirror : mirrors->second) endpoints_.push_back(make_endpoint(mirror, options, true));
  const bool is_default = without_scheme(config.registry) == name;
  endpoints_.push_back(make_endpoint(is_default ? config.registry : name, options, false));
}

} // namespace conductor::image::registry
