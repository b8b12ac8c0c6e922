#include "rewriter/graph/operator_roles.h"

#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "kernels/heavy_operators.h"
#include "rewriter/graph/inlined_model.h"

namespace invact {
namespace {

namespace aten = torch::jit::aten;
namespace prim = torch::jit::prim;
using torch::jit::Node;
using torch::jit::Value;

/// More sources than this are as good as one of their own.
constexpr size_t kMaxSources = 4;

/// Whether an argument that is a constant has this value.
template <class Value_>
bool is_constant(const Node* node, size_t position, Value_ wanted) {
  const auto constant = torch::jit::toIValue(node->input(position));
  return constant && *constant == c10::IValue(wanted);
}

bool is_dropout(const Node* node) {
  return node->kind() == aten::dropout || node->kind() == aten::dropout_;
}

/// Cheap by the catalog, but not to be run again: random in a way that no saved bits repeat, or
/// with statistics.
bool is_excluded(const Node* node) {
  static constexpr std::array<std::string_view, 13> kExcluded = {
      "aten::alpha_dropout",   "aten::feature_alpha_dropout",
      "aten::feature_dropout", "aten::rrelu",
      "aten::native_dropout",  "aten::native_batch_norm",
      "aten::copy_",           "aten::detach",
      "aten::alpha_dropout_",  "aten::feature_dropout_",
      "aten::rrelu_",          "aten::feature_alpha_dropout_",
      "aten::detach_"};
  if (node->kind() == aten::instance_norm) {
    return !node->input(3)->mustBeNone() || !node->input(4)->mustBeNone();
  }
  return std::ranges::count(kExcluded, std::string_view(node->kind().toQualString())) > 0;
}

bool is_sum(const Node* node) {
  return (node->kind() == aten::add || node->kind() == aten::add_ || node->kind() == aten::sub ||
          node->kind() == aten::sub_) &&
         node->inputs().size() >= 2 && is_tensor(node->input(0)) && is_tensor(node->input(1));
}

}  // namespace

OperatorRole operator_role(const Node* node) {
  if (node->kind() == prim::ListConstruct) {
    return node->output()->type()->isSubtypeOf(*c10::ListType::ofTensors()) ? OperatorRole::kList
                                                                            : OperatorRole::kNone;
  }
  if (kernels::is_heavy(node->kind().toQualString()) || is_excluded(node))
    return OperatorRole::kNone;
  const auto* const schema = node->maybeSchema();
  if (!schema || node->outputs().size() != 1 || !is_tensor(node->output()))
    return OperatorRole::kNone;
  if (is_dropout(node)) {
    if (draws_dropout(node)) {
      return node->kind() == aten::dropout ? OperatorRole::kCompute : OperatorRole::kWrite;
    }
    // A dropout that may be switched on later has no bits to save now.
    const bool is_idle = is_constant(node, 2, false) || is_constant(node, 1, 0.0);
    return is_idle ? OperatorRole::kView : OperatorRole::kNone;
  }
  if (node->isNondeterministic()) return OperatorRole::kNone;
  const auto* const alias = schema->returns().at(0).alias_info();
  if (!alias) return schema->is_mutable() ? OperatorRole::kNone : OperatorRole::kCompute;
  const bool writes_first = alias->isWrite() && schema->arguments().at(0).alias_info() &&
                            schema->arguments().at(0).alias_info()->isWrite();
  if (writes_first) return OperatorRole::kWrite;
  return schema->is_mutable() ? OperatorRole::kNone : OperatorRole::kView;
}

bool draws_dropout(const Node* node) {
  if (!is_dropout(node) || !is_constant(node, 2, true)) return false;
  const auto p = torch::jit::toIValue(node->input(1));
  return p && p->isDouble() && p->toDouble() > 0 && p->toDouble() < 1;
}

bool is_parameter_or_constant(const Value* value) {
  return value->node()->kind() == prim::GetAttr || value->node()->kind() == prim::Constant;
}

bool is_statistic(const Node* node, size_t position) {
  return node->kind() == aten::batch_norm && (position == 3 || position == 4);
}

SumSources::SumSources(const std::vector<Node*>& nodes) {
  for (const Node* const node : nodes) {
    if (is_sum(node) && joins_sources(node)) sums_.insert(node);
  }
}

bool SumSources::joins_sources(const Node* node) {
  const bool both_vary =
      !is_parameter_or_constant(node->input(0)) && !is_parameter_or_constant(node->input(1));
  return both_vary && of(node->input(0)) != of(node->input(1));
}

const SumSources::Sources& SumSources::of(const Value* value) {
  const auto known = sources_.find(value);
  if (known != sources_.end()) return known->second;
  const Node* const node = value->node();
  Sources sources;
  const bool is_source = operator_role(node) == OperatorRole::kNone || sums_.contains(node);
  if (!is_source) {
    for (const Value* const input : node->inputs()) {
      const bool carries = is_tensor(input) || operator_role(input->node()) == OperatorRole::kList;
      if (!carries || is_parameter_or_constant(input)) continue;
      for (const Value* const source : of(input)) {
        if (std::ranges::count(sources, source) == 0) sources.push_back(source);
      }
    }
  }
  if (sources.empty() || sources.size() > kMaxSources) sources = {value};
  std::sort(sources.begin(), sources.end());
  return sources_[value] = std::move(sources);
}

}  // namespace invact
