#include "cli/ci/formats/findings.h"

#include <fmt/format.h>

#include <array>
#include <map>
#include <string_view>
#include <utility>

#include "cli/text/size.h"

namespace invact {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kGateTexts = {{
    {"max-saved", "Training keeps more for backward than --max-saved allows."},
    {"max-duplicate", "Training keeps more twice than --max-duplicate allows."},
    {"max-peak", "A training step's peak of memory is above --max-peak."},
    {"max-growth", "Training keeps more than the baseline by more than --max-growth allows."},
}};

constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kKindTexts = {{
    {"activation", "An activation function's input is kept while its output is kept too."},
    {"composite", "Intermediate results of a function that is written out are kept."},
    {"norm", "A norm's input is kept while its output is kept too."},
    {"gate", "A product is kept while what it is made of is kept too."},
    {"dropout", "A dropout mask is kept as a tensor where a bit per element says the same."},
    {"cast", "The same values are kept in two dtypes."},
    {"copy", "The same values are kept twice."},
}};

template <size_t N>
std::string text_of(const std::array<std::pair<std::string_view, std::string_view>, N>& table,
                    const std::string& name) {
  for (const auto& [key, text] : table) {
    if (key == name) return std::string(text);
  }
  return name + ".";
}

Finding gate_finding(const Gate& gate) {
  Finding finding;
  finding.failed_gate = true;
  finding.rule_id = "gate/" + gate.name;
  finding.rule_text = text_of(kGateTexts, gate.name);
  finding.message = fmt::format("{}: {}", gate.name, gate.sentence);
  finding.place.module = "";
  finding.bytes = gate.actual_bytes - gate.limit_bytes;
  return finding;
}

Finding duplicate_finding(const SavedTwice& duplicate) {
  Finding finding;
  finding.rule_id = "kept-twice/" + duplicate.kind;
  finding.rule_text = text_of(kKindTexts, duplicate.kind);
  finding.message = fmt::format("{} kept twice by {} in {}", format_bytes(duplicate.bytes),
                                duplicate.place.op, module_text(duplicate.place));
  finding.advice = duplicate.advice;
  finding.place = duplicate.place;
  finding.bytes = duplicate.bytes;
  return finding;
}

}  // namespace

std::vector<Finding> findings(const CiResult& result) {
  std::vector<Finding> list;
  for (const Gate& gate : result.gates) {
    if (!gate.passed) list.push_back(gate_finding(gate));
  }
  std::map<std::string, int64_t> ordinals;
  for (const SavedTwice& duplicate : result.report.duplicates) {
    Finding finding = duplicate_finding(duplicate);
    finding.ordinal = ++ordinals[finding_key(finding)];
    list.push_back(std::move(finding));
  }
  return list;
}

std::string finding_key(const Finding& finding) {
  return fmt::format("{}|{}|{}", finding.rule_id, module_text(finding.place), finding.place.op);
}

}  // namespace invact
