// Which module instances share a class, and therefore their code: splits classes whose instances
// must differ, and joins the parts again. Makes classes and copies of their code; what the code
// does is changed in apply.cpp alone.
#pragma once

#include <ATen/core/qualified_name.h>
#include <torch/csrc/jit/api/module.h>

#include <string>
#include <unordered_map>

namespace invact {

/// What distinguishes the code that an instance needs from that of its class; "": nothing.
using VariantOf = std::unordered_map<const c10::ivalue::Object*, std::string>;

/// Gives instances of one class that need different code, in themselves or below, classes of their
/// own: the first kind stays with the class, each other one gets a copy named by variant_name().
/// Changes `top`; parameters and buffers stay the same tensors.
/// @returns the module to use in place of `top`: instances whose class is new are new objects.
torch::jit::Module split_classes(const torch::jit::Module& top, const VariantOf& variant_of);

/// Gives every instance of a class that split_classes() made the class it was copied from.
torch::jit::Module join_classes(const torch::jit::Module& top);

/// A free name of `unit` for a copy of `name`: "__torch__.rewritten_by_invact.Block", then
/// "__torch__.rewritten_by_invact_2.Block".
c10::QualifiedName variant_name(const torch::jit::CompilationUnit& unit,
                                const c10::QualifiedName& name);

/// The name that a variant_name() was made from; other names as they are.
c10::QualifiedName original_name(const c10::QualifiedName& name);

}  // namespace invact
