#include "rewriter/plan.h"

#include <algorithm>

namespace invact {

std::string replacement_of(const Edit& edit) {
  struct Name {
    std::string operator()(std::monostate) const { return ""; }
    std::string operator()(const RenameOperator& rename) const { return rename.replacement; }
    std::string operator()(const ReplacePattern& pattern) const { return pattern.replacement; }
    std::string operator()(const Recompute&) const { return "invact::recompute"; }
  };
  return std::visit(Name(), edit);
}

bool SiteNode::is_called_by(const OperatorCall& call) const {
  // A site's frames end at its method; a call's go on to the model's forward.
  return op == call.op && !frames.empty() && frames.size() <= call.frames.size() &&
         std::equal(frames.begin(), frames.end(), call.frames.begin());
}

bool Site::is_called_by(const OperatorCall& call) const {
  return std::ranges::any_of(nodes, [&](const SiteNode& node) {
    const bool in_code_of_call =
        node.method.empty() ? place.method == call.method &&
                                  std::ranges::count(module_paths, call.module_path) > 0
                            : node.method == call.method && node.module_path == call.module_path;
    return in_code_of_call && node.is_called_by(call);
  });
}

int64_t Plan::accepted_count() const {
  return std::ranges::count_if(sites, [](const Site& site) { return site.decision.accepted; });
}

}  // namespace invact
