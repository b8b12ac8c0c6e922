#include "rewriter/apply.h"

#include <fmt/format.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/serialization/import.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <unordered_map>

#include "analyzer/call_sites.h"
#include "analyzer/error.h"
#include "kernels/catalog.h"
#include "kernels/register.h"
#include "rewriter/inlined_model.h"
#include "rewriter/module_classes.h"

namespace invact {

const char* const kProvenanceFile = "invact.json";

namespace {

namespace prim = torch::jit::prim;
namespace attr = torch::jit::attr;
using torch::jit::Graph;
using torch::jit::Module;
using torch::jit::Node;

/// A copy with its own code. Loading the file again keeps everything (class names, tied weights,
/// debug records) as it is, which Module::clone() does not.
Module fresh_copy(const Model& model) {
  try {
    if (!model.record.path.empty()) return torch::jit::load(model.record.path);
    std::stringstream archive;
    model.module.save(archive);
    return torch::jit::load(archive);
  } catch (const c10::Error& error) {
    throw_internal_error(fmt::format("Cannot copy '{}': {}.", model.record.path,
                                     first_sentence(error.what_without_backtrace())));
  }
}

/// What changes in one method or function: operators by node index, and in the functions it calls.
struct CodeEdits {
  std::map<int64_t, std::string> replacements;  ///< Node index -> qualified operator.
  std::map<int64_t, CodeEdits> calls;           ///< Node index of the call -> its own copy's edits.

  std::string signature() const {
    std::string text;
    for (const auto& [index, op] : replacements) text += fmt::format("{}={},", index, op);
    for (const auto& [index, edits] : calls)
      text += fmt::format("{}({}),", index, edits.signature());
    return text;
  }
};

/// By method.
using ModuleEdits = std::map<std::string, CodeEdits>;

std::shared_ptr<Graph> called_graph(const Node& call, const Site& site) {
  auto graph = call.kind() == prim::CallFunction ? called_function_graph(call) : nullptr;
  if (!graph)
    throw_internal_error(fmt::format("The plan's site {} is not in this model.", site.id));
  return graph;
}

Node* node_at(Graph& graph, int64_t index, const Site& site) {
  const auto nodes = nodes_in_order(graph);
  if (index < 0 || static_cast<size_t>(index) >= nodes.size()) {
    throw_internal_error(fmt::format("The plan's site {} is not in this model.", site.id));
  }
  return nodes[static_cast<size_t>(index)];
}

/// @throws Error(kInternal) where the code at `site` is not what it was when the plan was made.
void check_code(const torch::jit::Method& method, const Site& site) {
  std::shared_ptr<Graph> graph = method.graph();
  std::string fingerprint = graph_fingerprint(*graph);
  for (const int64_t index : site.location.function_calls) {
    graph = called_graph(*node_at(*graph, index, site), site);
    fingerprint += graph_fingerprint(*graph);
  }
  if (fingerprint != site.location.graph_fingerprint) {
    throw_internal_error(
        fmt::format("The plan's site {} was made for other code than this model's.", site.id));
  }
  const Node* const node = node_at(*graph, site.location.node_index, site);
  if (node->kind().toQualString() != site.op) {
    throw_internal_error(fmt::format("The plan's site {} is a {}, not {}.", site.id,
                                     node->kind().toQualString(), site.op));
  }
}

Module owner_of(const Module& top, const Site& site) {
  const auto owner = find_submodule(top, site.location.module_path);
  if (!owner || !owner->find_method(site.location.method)) {
    throw_internal_error(fmt::format("The plan's site {} is not in this model.", site.id));
  }
  return *owner;
}

/// The edits of every module of `top` that has some. Nothing is edited before all were found.
std::unordered_map<const c10::ivalue::Object*, ModuleEdits> collect_edits(const Module& top,
                                                                          const Plan& plan) {
  std::unordered_map<const c10::ivalue::Object*, ModuleEdits> edits;
  for (const Site& site : plan.sites) {
    if (!site.accepted) continue;
    const Module owner = owner_of(top, site);
    check_code(owner.get_method(site.location.method), site);
    CodeEdits* code = &edits[owner._ivalue().get()][site.location.method];
    for (const int64_t call : site.location.function_calls) code = &code->calls[call];
    code->replacements[site.location.node_index] = site.replacement;
  }
  return edits;
}

std::string signature(const ModuleEdits& edits) {
  std::string text;
  for (const auto& [method, code] : edits) text += method + ":" + code.signature() + ";";
  return text;
}

void replace_operator(Node* node, const std::string& replacement) {
  Graph& graph = *node->owningGraph();
  const torch::jit::WithInsertPoint guard(node);
  Node* const made = graph.insertNode(
      graph.create(c10::Symbol::fromQualString(replacement), node->inputs(), /*num_outputs=*/1));
  made->copyMetadata(node);
  made->output()->copyMetadata(node->output());
  node->output()->replaceAllUsesWith(made->output());
  if (!made->maybeSchema()) {
    throw_internal_error(fmt::format("{} does not take the arguments of {}.", replacement,
                                     node->kind().toQualString()));
  }
  node->destroy();
}

/// Lets a prim::CallFunction node call `function`.
void retarget_call(Node* call, torch::jit::Function* function) {
  Graph& graph = *call->owningGraph();
  Node* const old_constant = call->input(0)->node();
  const torch::jit::WithInsertPoint guard(call);
  Node* const constant = graph.insertNode(graph.create(prim::Constant));
  constant->s_(attr::name, function->name());
  constant->copyMetadata(old_constant);
  constant->output()->setType(c10::FunctionType::create(function));
  call->replaceInput(0, constant->output());
  if (!old_constant->hasUses()) old_constant->destroy();
}

torch::jit::Function* called_function(const Node& call) {
  return call.input(0)->type()->expect<c10::FunctionType>()->function();
}

/// Edits the code of one model's classes and functions.
class CodeEditor {
 public:
  explicit CodeEditor(std::shared_ptr<torch::jit::CompilationUnit> unit) : unit_(std::move(unit)) {}

  void edit(Graph& graph, const CodeEdits& edits) {
    const auto nodes = nodes_in_order(graph);
    for (const auto& [index, op] : edits.replacements) {
      replace_operator(nodes[static_cast<size_t>(index)], op);
    }
    for (const auto& [index, inner] : edits.calls) {
      Node* const call = nodes[static_cast<size_t>(index)];
      retarget_call(call, edited_copy(*called_function(*call), inner));
    }
    graph.lint();
  }

  /// All operators of the library in `graph` and in the functions that it calls become ATen's
  /// again.
  void restore(Graph& graph) {
    if (!restored_.insert(&graph).second) return;
    for (Node* node : nodes_in_order(graph)) {
      if (node->kind() == prim::CallFunction) {
        if (auto* const original = original_function(*called_function(*node))) {
          retarget_call(node, original);
        }
      } else if (const auto* activation = kernels::find_replacement(node->kind().toQualString())) {
        replace_operator(node, std::string(activation->aten_op));
        ++restored_operators_;
      }
    }
    graph.lint();
  }

  int64_t restored_operators() const { return restored_operators_; }

 private:
  /// A function of its own for these calls: the other callers keep theirs.
  torch::jit::Function* edited_copy(torch::jit::Function& function, const CodeEdits& edits) {
    auto& copy = copies_[{&function, edits.signature()}];
    if (!copy) {
      copy = copy_function(function, variant_name(*unit_, function.qualname()));
      edit(*torch::jit::toGraphFunction(*copy).graph(), edits);
    }
    return copy;
  }

  /// Restores the code of `function`; what `edited_copy` made becomes what it was made from.
  torch::jit::Function* original_function(torch::jit::Function& function) {
    auto* const graph_function = torch::jit::tryToGraphFunction(function);
    if (!graph_function) return nullptr;
    restore(*graph_function->graph());
    const auto name = original_name(function.qualname());
    if (name == function.qualname()) return nullptr;
    auto* const original = unit_->find_function(name);
    return original ? original : copy_function(function, name);
  }

  torch::jit::Function* copy_function(torch::jit::Function& function,
                                      const c10::QualifiedName& name) {
    auto* const copy =
        unit_->create_function(name, torch::jit::toGraphFunction(function).graph()->copy());
    copy->setSchema(function.getSchema());
    return copy;
  }

  std::shared_ptr<torch::jit::CompilationUnit> unit_;
  std::map<std::pair<const torch::jit::Function*, std::string>, torch::jit::Function*> copies_;
  std::set<const Graph*> restored_;
  int64_t restored_operators_ = 0;
};

}  // namespace

Module apply_plan(const Model& model, const Plan& plan) {
  kernels::ensure_registered();
  const Module copy = fresh_copy(model);
  VariantOf variants;
  for (const auto& [instance, edits] : collect_edits(copy, plan)) {
    variants[instance] = signature(edits);
  }
  Module module = split_classes(copy, variants);
  CodeEditor editor(module._ivalue()->compilation_unit());
  // Instances of one class share their code, which must be edited once; now all of them agree. In
  // the plan's order, so that the same plan gives the same names.
  const auto edits = collect_edits(module, plan);
  std::set<const Graph*> edited;
  for (const Site& site : plan.sites) {
    if (!site.accepted) continue;
    const Module owner = owner_of(module, site);
    const std::string& method = site.location.method;
    const auto graph = owner.get_method(method).graph();
    if (!edited.insert(graph.get()).second) continue;
    editor.edit(*graph, edits.at(owner._ivalue().get()).at(method));
  }
  return module;
}

RestoredModel restore_original(const Model& rewritten) {
  const Module copy = fresh_copy(rewritten);
  CodeEditor editor(copy._ivalue()->compilation_unit());
  for (const Module& module : copy.modules()) {
    for (auto* function : module.type()->methods()) {
      editor.restore(*torch::jit::toGraphFunction(*function).graph());
    }
  }
  return {join_classes(copy), editor.restored_operators()};
}

void save_module(const Module& module, const Model& original, const std::string& provenance,
                 const std::string& path) {
  Module to_save = module;
  if (original.traced_inputs) to_save.store_traced_inputs("forward", *original.traced_inputs);
  auto extra_files = original.extra_files;
  extra_files.erase(kProvenanceFile);
  if (!provenance.empty()) extra_files[kProvenanceFile] = provenance;
  // Through a stream: the name of a file, a temporary one here, would become the archive's.
  std::ofstream file(path, std::ios::binary);
  try {
    to_save.save(file, extra_files);
  } catch (const c10::Error& error) {
    throw_environment_error(fmt::format("Cannot write '{}': {}.", path,
                                        first_sentence(error.what_without_backtrace())));
  }
  file.close();
  if (!file) throw_environment_error(fmt::format("Cannot write '{}': is the disk full?", path));
}

}  // namespace invact
