#include "rewriter/editing/module_classes.h"

#include <fmt/format.h>
#include <torch/csrc/jit/api/function_impl.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include "rewriter/graph/inlined_model.h"

namespace invact {
namespace {

namespace prim = torch::jit::prim;
namespace attr = torch::jit::attr;
using c10::ClassTypePtr;
using c10::ivalue::Object;
using torch::jit::Graph;
using torch::jit::Node;

constexpr const char* kVariantAtom = "rewritten_by_invact";

/// Instances that will share one class.
struct Group {
  ClassTypePtr source;                ///< The class of its first instance.
  std::map<size_t, size_t> children;  ///< Attribute slot -> group of the module in it.
  ClassTypePtr type;                  ///< The class that they get.
  bool changed = false;               ///< New, or with other attribute types in it or below.
};

/// Lets the types of all values that are modules follow from that of `self`.
void retype_modules(Graph& graph, const ClassTypePtr& self) {
  graph.inputs()[0]->setType(self);
  for (Node* node : nodes_in_order(graph)) {
    if (node->kind() == prim::GetAttr) {
      const auto owner = node->input()->type()->cast<c10::ClassType>();
      if (owner && owner->is_module()) {
        node->output()->setType(owner->getAttribute(node->s(attr::name)));
      }
    } else if (node->kind() == prim::fork) {
      Graph& task = *node->g(attr::Subgraph);
      for (size_t i = 0; i < node->inputs().size(); ++i) {
        if (node->input(i)->type()->cast<c10::ClassType>()) {
          task.inputs()[i]->setType(node->input(i)->type());
        }
      }
    }
  }
}

class Regrouping {
 public:
  explicit Regrouping(const torch::jit::Module& top)
      : top_(top._ivalue()), unit_(top._ivalue()->compilation_unit()) {}

  /// Puts `object` and all modules below it into groups, children first. `key_of` gives what must
  /// be equal within a group besides the groups of the children.
  size_t assign(const c10::intrusive_ptr<Object>& object,
                const std::function<std::string(const Object&)>& key_of) {
    if (const auto known = group_of_.find(object.get()); known != group_of_.end()) {
      return known->second;
    }
    Group group{object->type(), {}, nullptr};
    std::string key = key_of(*object);
    for (size_t slot = 0; slot < object->slots().size(); ++slot) {
      if (!object->getSlot(slot).isModule()) continue;
      const size_t child = assign(object->getSlot(slot).toObject(), key_of);
      // An attribute of interface type takes any class that implements it.
      if (!group.source->getAttribute(slot)->cast<c10::ClassType>()) continue;
      group.children[slot] = child;
      key += fmt::format(";{}:{}", slot, child);
    }
    const auto [found, fresh] = group_by_key_.try_emplace(key, groups_.size());
    if (fresh) groups_.push_back(std::move(group));
    group_of_[object.get()] = found->second;
    return found->second;
  }

  std::vector<Group>& groups() { return groups_; }

  /// Makes a class for every group that has none yet, and the module whose objects have them.
  torch::jit::Module finish(
      const std::function<c10::QualifiedName(const c10::QualifiedName&)>& copy_name) {
    std::vector<Group*> with_class;
    for (Group& group : groups_) {
      if (group.type) with_class.push_back(&group);
    }
    // Every copy is made before a class that stays is changed.
    for (Group& group : groups_) {
      if (!group.type) copy_class(group, copy_name(*group.source->name()));
    }
    for (Group* group : with_class) follow_children(*group);
    retype_code();
    return torch::jit::Module(rebuilt(top_));
  }

  torch::jit::CompilationUnit& unit() { return *unit_; }

  /// A class named `name` like `group.source`. Children's groups must have their types.
  void copy_class(Group& group, const c10::QualifiedName& name) {
    const ClassTypePtr& source = group.source;
    group.changed = true;
    group.type = c10::ClassType::create(name, unit_, /*is_module=*/true, source->doc_string());
    unit_->register_type(group.type);
    for (size_t slot = 0; slot < source->numAttributes(); ++slot) {
      group.type->addAttribute(source->getAttributeName(slot), attribute_type(group, slot),
                               source->is_parameter(slot), source->is_buffer(slot));
    }
    for (size_t i = 0; i < source->numConstants(); ++i) {
      group.type->addConstant(source->getConstantName(i), source->getConstant(i));
    }
    std::map<const torch::jit::Function*, torch::jit::Function*> copies;
    const auto copy = [&](torch::jit::Function* function) {
      auto& made = copies[function];
      if (!made) made = copy_function(*function, group);
      return made;
    };
    for (auto* method : source->methods()) group.type->addMethod(copy(method));
    for (auto* hook : source->getForwardPreHooks()) group.type->addForwardPreHook(copy(hook));
    for (auto* hook : source->getForwardHooks()) group.type->addForwardHook(copy(hook));
    for (const auto& property : source->properties()) {
      group.type->addProperty(property.name, copy(property.getter),
                              property.setter ? copy(property.setter) : nullptr);
    }
  }

  /// Fits a class that stays to those of its children, which must have been fitted.
  void follow_children(Group& group) {
    for (const auto& [slot, child] : group.children) {
      group.changed |= groups_[child].changed;
      const auto type = attribute_type(group, slot);
      if (*type == *group.type->getAttribute(slot)) continue;
      group.type->unsafeChangeAttributeType(group.type->getAttributeName(slot), type);
      group.changed = true;
    }
  }

  /// Lets the code of every new or changed class know the classes of its modules.
  void retype_code() {
    for (const Group& group : groups_) {
      if (!group.changed) continue;
      const auto retype = [&group](torch::jit::Function* function) {
        retype_modules(*torch::jit::toGraphFunction(*function).graph(), group.type);
      };
      for (auto* method : group.type->methods()) retype(method);
      for (auto* hook : group.type->getForwardPreHooks()) retype(hook);
      for (auto* hook : group.type->getForwardHooks()) retype(hook);
    }
  }

 private:
  c10::TypePtr attribute_type(const Group& group, size_t slot) const {
    const auto child = group.children.find(slot);
    if (child == group.children.end()) return group.source->getAttribute(slot);
    return groups_[child->second].type;
  }

  torch::jit::Function* copy_function(torch::jit::Function& function, const Group& group) {
    auto graph = torch::jit::toGraphFunction(function).graph()->copy();
    auto* const copy = unit_->create_function(
        c10::QualifiedName(*group.type->name(), function.name()), std::move(graph));
    copy->setSchema(function.getSchema().cloneWithRemappedTypes([&group](const c10::TypePtr& type) {
      return *type == *group.source ? c10::TypePtr(group.type) : type;
    }));
    return copy;
  }

  /// The object with the class of its group: made anew where that is another.
  c10::intrusive_ptr<Object> rebuilt(const c10::intrusive_ptr<Object>& object) {
    auto& result = rebuilt_[object.get()];
    if (result) return result;
    const Group& group = groups_[group_of_.at(object.get())];
    const bool keeps_class = *object->type() == *group.type;
    auto made = keeps_class
                    ? object
                    : Object::create(c10::StrongTypePtr(unit_, group.type), object->slots().size());
    for (size_t slot = 0; slot < object->slots().size(); ++slot) {
      const c10::IValue value = object->getSlot(slot);
      made->setSlot(slot, value.isModule() ? c10::IValue(rebuilt(value.toObject())) : value);
    }
    rebuilt_[object.get()] = made;
    return made;
  }

  c10::intrusive_ptr<Object> top_;
  std::shared_ptr<torch::jit::CompilationUnit> unit_;
  std::vector<Group> groups_;  ///< Children before parents.
  std::unordered_map<std::string, size_t> group_by_key_;
  std::unordered_map<const Object*, size_t> group_of_;
  std::unordered_map<const Object*, c10::intrusive_ptr<Object>> rebuilt_;
};

std::string class_name(const Object& object) {
  return object.type()->name()->qualifiedName();
}

bool is_variant_atom(const std::string& atom) {
  return atom == kVariantAtom || atom.starts_with(std::string(kVariantAtom) + "_");
}

c10::QualifiedName join(const std::vector<std::string>& atoms) {
  return c10::QualifiedName(atoms);
}

}  // namespace

torch::jit::Module split_classes(const torch::jit::Module& top, const VariantOf& variant_of) {
  Regrouping regrouping(top);
  regrouping.assign(top._ivalue(), [&variant_of](const Object& object) {
    const auto variant = variant_of.find(&object);
    return class_name(object) + "|" + (variant == variant_of.end() ? "" : variant->second);
  });
  std::set<const c10::ClassType*> taken;
  for (Group& group : regrouping.groups()) {
    if (taken.insert(group.source.get()).second) group.type = group.source;
  }
  return regrouping.finish([&regrouping](const c10::QualifiedName& name) {
    return variant_name(regrouping.unit(), name);
  });
}

torch::jit::Module join_classes(const torch::jit::Module& top) {
  Regrouping regrouping(top);
  regrouping.assign(top._ivalue(), [](const Object& object) {
    return original_name(*object.type()->name()).qualifiedName();
  });
  for (Group& group : regrouping.groups()) {
    group.type = regrouping.unit().get_class(original_name(*group.source->name()));
  }
  return regrouping.finish(original_name);
}

c10::QualifiedName variant_name(const torch::jit::CompilationUnit& unit,
                                const c10::QualifiedName& name) {
  auto atoms = original_name(name).atoms();
  const auto place = atoms.begin() + (atoms.size() > 1 && atoms.front() == "__torch__" ? 1 : 0);
  const auto variant = atoms.insert(place, kVariantAtom);
  const auto index = variant - atoms.begin();
  for (int64_t number = 2; unit.get_type(join(atoms)) || unit.find_function(join(atoms));
       ++number) {
    atoms[static_cast<size_t>(index)] = fmt::format("{}_{}", kVariantAtom, number);
  }
  return join(atoms);
}

c10::QualifiedName original_name(const c10::QualifiedName& name) {
  auto atoms = name.atoms();
  const auto variant = std::find_if(atoms.begin(), atoms.end(), is_variant_atom);
  if (variant == atoms.end() || atoms.size() == 1) return name;
  atoms.erase(variant);
  return join(atoms);
}

}  // namespace invact
