// How a layer's archive says that something of lower layers is gone (OCI image-spec, layer.md, "Whiteouts").
#pragma once

#include <string_view>

namespace conductor::image {

inline constexpr std::string_view whiteout_prefix = ".wh.";
inline constexpr std::string_view aufs_prefix = ".wh..wh.";
inline constexpr std::string_view opaque_name = ".wh..wh..opq";

// Has a path a part that stands for something gone?
inline bool names_whiteout(std::string_view path)
{
  return path.starts_with(whiteout_prefix) || path.find("/.wh.") != std::string_view::npos;
}

} // namespace conductor::image
