#include "cli/pictures/html/page.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "cli/pictures/html/page_template.h"

namespace invact {
namespace {

using Json = nlohmann::ordered_json;

/// Cuts `report[list]` to the kMaxPageRows rows with the most bytes. @returns what was cut: rows
/// and bytes, or null.
Json cut_list(Json& report, const char* list, const char* bytes_key) {
  Json& rows = report.at(list);
  if (rows.size() <= kMaxPageRows) return nullptr;
  const auto bytes = [&](const Json& row) { return row.at(bytes_key).get<int64_t>(); };
  std::stable_sort(rows.begin(), rows.end(), [&](const Json& a, const Json& b) {
    return std::abs(bytes(a)) > std::abs(bytes(b));
  });
  int64_t cut_bytes = 0;
  for (size_t i = kMaxPageRows; i < rows.size(); ++i) cut_bytes += bytes(rows[i]);
  Json cut = {{"list", list}, {"rows", rows.size() - kMaxPageRows}, {"bytes", std::abs(cut_bytes)}};
  rows.erase(rows.begin() + static_cast<std::ptrdiff_t>(kMaxPageRows), rows.end());
  return cut;
}

Json cut_lists(Json& report) {
  Json left_out = Json::array();
  for (const auto& [list, bytes_key] :
       {std::pair{"storages", "bytes"}, {"duplicates", "bytes"}, {"sites", "saved_bytes_delta"}}) {
    if (Json cut = cut_list(report, list, bytes_key); !cut.is_null()) {
      left_out.push_back(std::move(cut));
    }
  }
  return left_out;
}

/// A page compares totals, modules and peaks.
Json after_part(const Json& after) {
  const Json& timeline = after.at("timeline");
  return {{"totals", after.at("totals")},
          {"modules", after.at("modules")},
          {"peak_bytes", timeline.is_null() ? Json(nullptr) : timeline.at("peak").at("bytes")}};
}

/// A page shows the worst gradient and how many there are, not each.
Json verification_part(const Json& verification) {
  if (verification.is_null()) return nullptr;
  Json part = verification;
  part["outputs_compared"] = verification.at("outputs").size();
  part["gradients_compared"] = verification.at("gradients").size();
  part.erase("outputs");
  if (Json& gradients = part["gradients"]; gradients.size() > 1) {
    gradients.erase(gradients.begin() + 1, gradients.end());
  }
  return part;
}

/// JSON as it may stand within <script>: no "<" of a name can end the element or begin a comment.
/// Bytes that are no UTF-8 (paths may have them) are replaced.
std::string script_text(const Json& document) {
  const std::string json =
      document.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
  std::string text;
  text.reserve(json.size() + json.size() / 16);
  for (const char character : json) {
    if (character == '<') {
      text += "\\u003c";
    } else {
      text += character;
    }
  }
  return text;
}

std::string fill_template(const Json& page) {
  constexpr std::string_view kPlace = "@INVACT_DATA@";
  std::string text = kPageTemplate;
  return text.replace(text.find(kPlace), kPlace.size(), script_text(page));
}

}  // namespace

std::string html_page(Json report) {
  Json left_out = cut_lists(report);
  return fill_template({{"report", std::move(report)},
                        {"after", nullptr},
                        {"verification", nullptr},
                        {"output", nullptr},
                        {"left_out", std::move(left_out)}});
}

std::string html_page(Json report, const RewrittenPart& rewritten) {
  Json left_out = cut_lists(report);
  return fill_template({{"report", std::move(report)},
                        {"after", after_part(rewritten.after)},
                        {"verification", verification_part(rewritten.verification)},
                        {"output", rewritten.output},
                        {"left_out", std::move(left_out)}});
}

}  // namespace invact
