// Words of a build file: quotes, escapes and variables, as Dockerfiles have them. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace conductor::image {

// Variables in sight, each K=V; a later one hides an earlier one.
using Variables = std::vector<std::string>;
std::optional<std::string> value_of(const Variables& variables, std::string_view name);
// Sets or replaces; the order of what is there stays, so that equal states are equal lists.
void set_variable(Variables& variables, std::string_view name, std::string_view value);

// Splits at blanks outside quotes; quotes and escapes stay in the words. escape: '\\' or '`'. Throws Error for a quote
// that is never closed.
std::vector<std::string> split_words(std::string_view text, char escape);

// One word with quotes removed, escapes resolved and variables put in, as BuildKit's Dockerfile frontend does it: $X
// ${X}
// ${X:-default} ${X:+other} ${X:?sentence} (each also without the colon), ${X#pattern} ${X##pattern} ${X%pattern}
// ${X%%pattern} ${X/pattern/other} ${X//pattern/other}. Nothing is split or expanded again. Between single quotes all
// is literal. Throws Error (without place) for what is not closed or no name, and when the result would exceed 1 MiB.
std::string expand(std::string_view word, const Variables& variables, char escape);
// The same for the text of a here-document, in which quotes are ordinary characters.
std::string expand_text(std::string_view text, const Variables& variables, char escape);
// One word with quotes and escapes taken away and nothing put in.
std::string without_quotes(std::string_view word, char escape);

} // namespace conductor::image
