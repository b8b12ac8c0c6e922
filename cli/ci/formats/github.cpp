// GitHub annotations.
#include <fmt/format.h>

#include "cli/ci/formats/findings.h"
#include "cli/ci/formats/formats.h"
#include "cli/text/size.h"
#include "cli/text/source_path.h"

namespace invact {
namespace {

/// A line break would end the command, and a bare % would be read as an escape.
std::string message_escaped(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '%':
        escaped += "%25";
        break;
      case '\r':
        escaped += "%0D";
        break;
      case '\n':
        escaped += "%0A";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

/// Between the command's name and `::`, colon and comma separate as well.
std::string property_escaped(const std::string& text) {
  std::string escaped;
  for (const char c : message_escaped(text)) {
    if (c == ':') {
      escaped += "%3A";
    } else if (c == ',') {
      escaped += "%2C";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

std::string annotation(const Finding& finding) {
  std::string properties;
  if (const SourceLocation& source = finding.place.source; source.line > 0) {
    properties = fmt::format("file={},line={},", property_escaped(stable_path(source.file).path),
                             source.line);
  }
  properties += fmt::format("title={}", property_escaped("invact " + finding.rule_id));
  const std::string message =
      finding.message + (finding.advice.empty() ? "" : ". " + finding.advice);
  return fmt::format("::{} {}::{}\n", finding.failed_gate ? "error" : "warning", properties,
                     message_escaped(message));
}

}  // namespace

std::string github_annotations(const CiResult& result) {
  const std::vector<Finding> list = findings(result);
  const size_t shown = list.size() > kMaxAnnotations ? kMaxAnnotations - 1 : list.size();
  std::string text;
  for (size_t i = 0; i < shown; ++i) text += annotation(list[i]);
  if (shown < list.size()) {
    // At most four gates can fail: what is left out are duplicates.
    int64_t bytes = 0;
    for (size_t i = shown; i < list.size(); ++i) bytes += list[i].bytes;
    text += fmt::format("::notice title=invact::and {} more places where {} are kept twice\n",
                        list.size() - shown, message_escaped(format_bytes(bytes)));
  }
  return text;
}

}  // namespace invact
