// login and logout: a password is tried before it is kept.
#include "core/image/pull.h"

#include "core/base/error.h"
#include "core/container/spec.h"
#include "core/image/registry/session.h"

namespace conductor::image {

std::string registry_name(const Config& config, const std::string& registry)
{
  std::string name = registry.empty() ? config.registry : registry;
  for (const std::string_view scheme : {"https://", "http://"})
    if (name.starts_with(scheme)) name.erase(0, scheme.size());
  while (name.ends_with('/')) name.pop_back();
  if (name == "index.docker.io" || name == "registry-1.docker.io") name = "docker.io";
  if (!registry::is_host_and_port(name))
    throw usage_error("'" + visible(registry) + "' is no registry", "a registry is a host: quay.io, localhost:5000");
  return name;
}

std::string login(Context& context, const Login& login)
{
  const std::string name = registry_name(context.config, login.registry);
  if (login.user.empty() || login.user.find(':') != std::string::npos)
    throw usage_error("'" + visible(login.user) + "' can be no user of a registry");
  const registry::Credentials credentials{.user = login.user, .password = login.password, .identity_token = {}};
  const registry::Registry registry{context.config, name, login.options};
  Step step{context.trace, "log in to " + name, "as " + login.user};
  registry::Session session{context.trace, registry.own(), "", registry::Rights::none};
  session.log_in(credentials);
  std::string kept = registry::store_credentials(context.trace, name, credentials);
  step.done();
  return kept;
}

bool logout(Context& context, const std::string& registry)
{
  return registry::forget_credentials(context.trace, registry_name(context.config, registry));
}

} // namespace conductor::image
