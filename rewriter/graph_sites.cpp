#include "rewriter/graph_sites.h"

#include <map>
#include <tuple>

#include "analyzer/call_sites.h"
#include "analyzer/model.h"

namespace invact {
namespace {

GraphSite make_site(const NodeOrigin& origin, const ActivationMatch& match,
                    const torch::jit::Module& top) {
  GraphSite site;
  SiteLocation& location = site.location;
  location.module_path = origin.module_path;
  const auto module = find_submodule(top, origin.module_path);
  location.module_type = module ? class_name(*module) : "";
  location.method = origin.method;
  location.function_calls = origin.function_calls;
  location.node_index = origin.node_index;
  location.graph_fingerprint = origin.fingerprint;
  site.frames = origin.frames;
  site.function = origin.function;
  site.match = match;
  return site;
}

/// One site runs with whatever arguments its calls give it: what differs between them is as good as
/// decided at run time.
void join_arguments(const ActivationMatch& call, ActivationMatch& site) {
  if (call.activation != site.activation) site.activation = nullptr;
  if (call.is_invertible != site.is_invertible) site.is_invertible = std::nullopt;
}

}  // namespace

std::vector<GraphSite> find_graph_sites(const InlinedModel& inlined,
                                        const torch::jit::Module& top) {
  using Key = std::tuple<const c10::ivalue::Object*, std::string, std::vector<int64_t>, int64_t>;
  std::map<Key, size_t> index_of;
  std::vector<GraphSite> sites;
  for (torch::jit::Node* node : inlined.nodes()) {
    const auto match = match_activation(node);
    const NodeOrigin* const origin = match ? inlined.origin(*node) : nullptr;
    if (!origin) continue;
    const Key key{origin->instance, origin->method, origin->function_calls, origin->node_index};
    const auto [found, fresh] = index_of.try_emplace(key, sites.size());
    if (fresh) sites.push_back(make_site(*origin, *match, top));
    GraphSite& site = sites[found->second];
    if (!fresh) join_arguments(*match, site.match);
    site.module_paths.insert(origin->module_path);
    site.copies.push_back(node);
  }
  return sites;
}

}  // namespace invact
