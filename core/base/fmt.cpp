// fmt, compiled into our programs. Debian ships fmt as a shared library only, and loading one more library costs more
// at every start of every verb than all that a verb prints; so this file compiles the implementation that fmt's headers
// bring along (fmt/format-inl.h), and nothing links to libfmt.so.
//
// FMT_STATIC_THOUSANDS_SEPARATOR (CMakeLists.txt) leaves std::locale out: without it each program carries half a
// megabyte of locale facets, and touches some of it when it starts.
#include <fmt/format-inl.h>

FMT_BEGIN_NAMESPACE
namespace detail {

// The templates that fmt's headers declare and leave to the library (fmt 9.1); a newer fmt that needs another one says
// so as an undefined symbol when a program is linked.
template FMT_API dragonbox::decimal_fp<float> dragonbox::to_decimal(float) noexcept;
template FMT_API dragonbox::decimal_fp<double> dragonbox::to_decimal(double) noexcept;
template FMT_API thousands_sep_result<char> thousands_sep_impl(locale_ref);
template FMT_API char decimal_point_impl(locale_ref);
template FMT_API void buffer<char>::append(const char*, const char*);
template FMT_API void vformat_to(buffer<char>&, string_view, basic_format_args<format_context>, locale_ref);

} // namespace detail
FMT_END_NAMESPACE
