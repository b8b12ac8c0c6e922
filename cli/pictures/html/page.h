// The HTML report: documents in, one self-contained page out. Pure; knows no torch and no Report,
// only the documents that the schemas describe.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace invact {

/// What a page shows beside a model's analyze document when the model was rewritten.
struct RewrittenPart {  // NOLINT(bugprone-exception-escape): the JSON library's own destructor
  nlohmann::ordered_json after;         ///< The rewritten model's analyze document.
  nlohmann::ordered_json verification;  ///< As in a rewrite document; null where there was none.
  nlohmann::ordered_json output;        ///< As in a rewrite document.
};

/// Rows of one list that a page carries; the smallest of the others are left out, and it says so.
inline constexpr size_t kMaxPageRows = 2000;

std::string html_page(nlohmann::ordered_json report);
std::string html_page(nlohmann::ordered_json report, const RewrittenPart& rewritten);

}  // namespace invact
