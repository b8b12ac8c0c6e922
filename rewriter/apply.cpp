#include "rewriter/apply.h"

#include <fmt/format.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/serialization/import.h>

#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <unordered_map>

#include "analyzer/call_sites.h"
#include "analyzer/error.h"
#include "kernels/catalog.h"
#include "kernels/register.h"
#include "rewriter/code_edits.h"
#include "rewriter/inlined_model.h"
#include "rewriter/kept_code.h"
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

/// Puts `replacement` before `node`, in whose place its result is used.
void insert_operator(Node* node, const std::string& replacement,
                     at::ArrayRef<torch::jit::Value*> arguments) {
  Graph& graph = *node->owningGraph();
  Node* const made = graph.create(c10::Symbol::fromQualString(replacement), arguments,
                                  /*num_outputs=*/1);
  made->insertBefore(node);
  made->copyMetadata(node);
  made->output()->copyMetadata(node->output());
  node->output()->replaceAllUsesWith(made->output());
  if (!made->maybeSchema()) {
    throw_internal_error(fmt::format("{} does not take the arguments that it was given for {}.",
                                     replacement, node->kind().toQualString()));
  }
}

void replace_operator(Node* node, const std::string& replacement) {
  insert_operator(node, replacement, node->inputs());
  node->destroy();
}

/// Destroys a node and the constants that it alone reads.
void destroy_with_constants(Node* node) {
  const std::vector<torch::jit::Value*> inputs = node->inputs().vec();
  node->destroy();
  std::set<Node*> constants;
  for (torch::jit::Value* const input : inputs) {
    if (input->node()->kind() == prim::Constant && !input->hasUses()) {
      constants.insert(input->node());
    }
  }
  for (Node* const constant : constants) constant->destroy();
}

/// Writes a pattern's arguments in front of its last node.
class PatternArguments {
 public:
  PatternArguments(Graph& graph, const std::vector<Node*>& nodes, Node* place)
      : graph_(graph), nodes_(nodes), guard_(place) {}

  torch::jit::Value* value(const SiteArgument& argument) {
    if (argument.kind == SiteArgument::Kind::kConstant) return constant(argument);
    torch::jit::Value* const read = nodes_.at(static_cast<size_t>(argument.node_index))
                                        ->input(static_cast<size_t>(argument.position));
    if (argument.kind == SiteArgument::Kind::kValue) return read;
    Node* const dtype = graph_.insertNode(graph_.create(prim::dtype, {read}));
    dtype->output()->setType(c10::IntType::get());
    return dtype->output();
  }

 private:
  torch::jit::Value* constant(const SiteArgument& argument) {
    struct ToValue {
      c10::IValue operator()(std::monostate) const { return {}; }
      c10::IValue operator()(bool value) const { return value; }
      c10::IValue operator()(int64_t value) const { return value; }
      c10::IValue operator()(double value) const { return value; }
      c10::IValue operator()(const std::string& value) const { return value; }
      c10::IValue operator()(const std::vector<int64_t>& value) const { return value; }
    };
    return graph_.insertConstant(std::visit(ToValue(), argument.constant));
  }

  Graph& graph_;
  const std::vector<Node*>& nodes_;
  torch::jit::WithInsertPoint guard_;
};

void replace_pattern(Graph& graph, const std::vector<Node*>& nodes, Node* output,
                     const Replacement& replacement) {
  std::vector<torch::jit::Value*> values;
  PatternArguments arguments(graph, nodes, output);
  for (const SiteArgument& argument : replacement.arguments) {
    values.push_back(arguments.value(argument));
  }
  insert_operator(output, replacement.op, values);
  for (auto index = replacement.pattern_nodes.rbegin(); index != replacement.pattern_nodes.rend();
       ++index) {
    destroy_with_constants(nodes.at(static_cast<size_t>(*index)));
  }
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

/// The operator of ATen that one of the library replaces alone; none: `op` is no such one.
std::optional<std::string> replaced_operator(const std::string& op) {
  if (const auto* const row = kernels::find_replacement(op)) return std::string(row->aten_op);
  const auto find = [&op](const auto& rows) -> std::optional<std::string> {
    for (const auto& row : rows) {
      if (row.invact_op == op && !row.aten_op.empty()) return std::string(row.aten_op);
    }
    return std::nullopt;
  };
  if (auto norm = find(kernels::norms())) return norm;
  return find(kernels::dropouts());
}

/// Edits the code of one model's classes and functions.
class CodeEditor {
 public:
  explicit CodeEditor(std::shared_ptr<torch::jit::CompilationUnit> unit) : unit_(std::move(unit)) {}

  void edit(Graph& graph, const CodeEdits& edits) {
    const auto nodes = nodes_in_order(graph);
    for (const auto& [index, inner] : edits.calls) {
      Node* const call = nodes[static_cast<size_t>(index)];
      retarget_call(call, edited_copy(*called_function(*call), inner));
    }
    for (const auto& [index, replacement] : edits.replacements) {
      Node* const node = nodes[static_cast<size_t>(index)];
      if (replacement.pattern_nodes.empty()) {
        replace_operator(node, replacement.op);
      } else {
        replace_pattern(graph, nodes, node, replacement);
      }
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
      } else if (const auto original = replaced_operator(node->kind().toQualString())) {
        replace_operator(node, *original);
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
    const CodeEdits& code = edits.at(owner._ivalue().get()).at(method);
    if (code.replaces_patterns()) keep_code(owner, method);
    editor.edit(*graph, code);
  }
  return module;
}

RestoredModel restore_original(const Model& rewritten) {
  const Module copy = fresh_copy(rewritten);
  CodeEditor editor(copy._ivalue()->compilation_unit());
  int64_t restored_methods = 0;
  for (const Module& module : copy.modules()) restored_methods += restore_kept_code(module);
  for (const Module& module : copy.modules()) {
    for (auto* function : module.type()->methods()) {
      editor.restore(*torch::jit::toGraphFunction(*function).graph());
    }
  }
  return {join_classes(copy), editor.restored_operators() + restored_methods};
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
