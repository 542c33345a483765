// The JSON of images and layers as it lies on disk. Unknown fields are left alone by readers, so that a newer program
// may add some without a new format.
#include "core/base/error.h"
#include "core/store/images.h"

#include <nlohmann/json.hpp>

namespace conductor {
namespace {

using nlohmann::json;

// Bytes that are no UTF-8 (a file name in an instruction) must not make an image unreadable.
std::string dump(const json& document) { return document.dump(1, ' ', false, json::error_handler_t::replace) + "\n"; }

json parse(std::string_view text, const char* what)
{
  try {
    return json::parse(text);
  } catch (const json::exception&) {
    throw Error{std::string{"read "} + what + ": it is no JSON; the file is damaged"};
  }
}

} // namespace

std::string to_json(const Image& image)
{
  const json document{{"layers", image.layers},
                      {"base", image.base},
                      {"created_ns", image.created_ns},
                      {"configuration", image.configuration}};
  return dump(document);
}

std::string to_json(const Layer& layer)
{
  json packed = json::array();
  for (const PackedForm& form : layer.packed)
    packed.push_back({{"digest", form.digest}, {"size", form.size}, {"media_type", form.media_type}});
  json document{{"id", layer.id},
                {"diff_id", layer.diff_id},
                {"parent", layer.parent},
                {"made_by", layer.made_by},
                {"size_bytes", layer.size_bytes},
                {"created_ns", layer.created_ns},
                {"packed", std::move(packed)}};
  if (!layer.implied.empty()) {
    // File names are bytes, JSON is text: a name that is none is written as bytes.
    json& implied = document["implied"] = json::array();
    for (const std::string& name : layer.implied)
      implied.push_back(std::vector<unsigned char>{name.begin(), name.end()});
  }
  return dump(document);
}

Image image_from_json(std::string_view text)
{
  const json document = parse(text, "an image");
  try {
    Image image;
    document.at("layers").get_to(image.layers);
    document.at("base").get_to(image.base);
    document.at("created_ns").get_to(image.created_ns);
    document.at("configuration").get_to(image.configuration);
    image.config = parse_configuration(image.configuration).config;
    return image;
  } catch (const json::exception& error) {
    throw Error{std::string{"read an image: "} + error.what()};
  }
}

Layer layer_from_json(std::string_view text)
{
  const json document = parse(text, "a layer");
  try {
    Layer layer;
    document.at("id").get_to(layer.id);
    document.at("diff_id").get_to(layer.diff_id);
    document.at("parent").get_to(layer.parent);
    document.at("made_by").get_to(layer.made_by);
    document.at("size_bytes").get_to(layer.size_bytes);
    document.at("created_ns").get_to(layer.created_ns);
    for (const json& each : document.at("packed")) {
      PackedForm& form = layer.packed.emplace_back();
      each.at("digest").get_to(form.digest);
      each.at("size").get_to(form.size);
      each.at("media_type").get_to(form.media_type);
    }
    if (const auto implied = document.find("implied"); implied != document.end())
      for (const json& name : *implied) {
        const auto bytes = name.get<std::vector<unsigned char>>();
        layer.implied.emplace_back(bytes.begin(), bytes.end());
      }
    return layer;
  } catch (const json::exception& error) {
    throw Error{std::string{"read a layer: "} + error.what()};
  }
}

} // namespace conductor
