#include "core/image/bases.h"

#include "core/base/error.h"
#include "core/image/digest.h"
#include "core/image/layer_cache.h"
#include "core/image/layers.h"
#include "core/kernel/files.h"
#include "core/store/workshop.h"

#include <sys/stat.h>

namespace conductor::image {
namespace {

ImageConfig config_of(const Base& base)
{
  ImageConfig config;
  if (base.kind == BaseKind::scratch) return config;
  config.env = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"};
  config.cmd = {base.kind == BaseKind::busybox ? "sh" : "bash"};
  return config;
}

std::string key_of(const Context& context, const Base& base)
{
  return base.kind == BaseKind::busybox ? busybox_key(context) : distribution_key(context, base);
}

void fill(Context& context, const Base& base, const Workshop& shop, const std::string& tree)
{
  const mode_t mask = umask(0);
  kernel::make_directories(context.trace, context.root.dir(), tree, 0755);
  umask(mask);
  if (base.kind == BaseKind::busybox)
    fill_busybox(context, tree);
  else
    fill_distribution(context, base, tree, shop.path());
}

} // namespace

MadeBase make_base(Context& context, const Base& base)
{
  MadeBase made{.config = config_of(base)};
  if (base.kind == BaseKind::scratch) return made;
  const std::string key = key_of(context, base);
  const auto take = [&](const Layer& layer) {
    made.layers = {layer.id};
    made.config.history = {{.created = rfc3339(layer.created_ns), .created_by = layer.made_by}};
    return made;
  };
  const auto find = [&] {
    const auto id = find_cached(context.root, key);
    return id ? Images{context.root}.find_layer(*id) : std::nullopt;
  };
  if (const auto found = find()) return take(*found);
  const StepLock lock{context.root, key};
  if (const auto found = find()) return take(*found);
  Step step{context.trace, "make " + base.reference(), "it is not in the cache yet"};
  const Workshop shop{context.root};
  fill(context, base, shop, shop.path() + "/made/diff");
  const Layer layer = commit_made(context.root, shop, "", "make " + base.reference());
  remember(context.root, key, layer.id);
  step.done();
  return take(layer);
}

} // namespace conductor::image
