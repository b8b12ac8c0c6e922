// JUnit XML.
#include <fmt/format.h>

#include <algorithm>

#include "cli/ci/formats/formats.h"
#include "cli/text/size.h"

namespace invact {
namespace {

constexpr size_t kShownDuplicates = 10;

/// What one needs to see to understand why a gate failed.
std::string explanation(const Gate& gate, const CiResult& result, const std::string& diff_text) {
  std::string text = gate.sentence + "\n";
  if (gate.name == "max-growth") text += "\n" + diff_text;
  if (gate.name == "max-duplicate") {
    const auto& duplicates = result.report.duplicates;
    for (size_t i = 0; i < std::min(duplicates.size(), kShownDuplicates); ++i) {
      text +=
          fmt::format("{:>10}  {} {} in {}\n", format_bytes(duplicates[i].bytes),
                      duplicates[i].kind, duplicates[i].place.op, module_text(duplicates[i].place));
    }
  }
  return text;
}

std::string test_case(const Gate& gate, const CiResult& result, const std::string& diff_text) {
  // No `file`, and no `skipped` on the root: Jenkins' schema has neither.
  std::string text =
      fmt::format("    <testcase classname=\"{}\" name=\"{}\" time=\"0\">\n",
                  xml_attribute("invact " + result.report.model_path), xml_attribute(gate.name));
  if (gate.passed) {
    text += fmt::format("      <system-out>{}</system-out>\n", xml_content(gate.sentence));
  } else {
    text += fmt::format("      <failure message=\"{}\" type=\"{}\">{}</failure>\n",
                        xml_attribute(gate.sentence), xml_attribute(gate.name),
                        xml_content(explanation(gate, result, diff_text)));
  }
  return text + "    </testcase>\n";
}

}  // namespace

std::string xml_content(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':  // for "]]>", which content may not have
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\n':
      case '\t':
        escaped += c;
        break;
      default:
        escaped += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
    }
  }
  return escaped;
}

std::string xml_attribute(const std::string& text) {
  std::string escaped;
  for (const char c : xml_content(text)) {
    if (c == '\n') {
      escaped += "&#10;";
    } else if (c == '\t') {
      escaped += "&#9;";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

std::string junit_xml(const CiResult& result, const std::string& diff_text) {
  const auto failures = std::count_if(result.gates.begin(), result.gates.end(),
                                      [](const Gate& gate) { return !gate.passed; });
  const std::string counts = fmt::format("tests=\"{}\" failures=\"{}\" errors=\"0\" time=\"0\"",
                                         result.gates.size(), failures);
  std::string text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
  text += fmt::format("<testsuites name=\"invact\" {}>\n", counts);
  text += fmt::format("  <testsuite name=\"{}\" {}>\n",
                      xml_attribute("invact analyze " + result.report.model_path), counts);
  for (const Gate& gate : result.gates) text += test_case(gate, result, diff_text);
  return text + "  </testsuite>\n</testsuites>\n";
}

}  // namespace invact
