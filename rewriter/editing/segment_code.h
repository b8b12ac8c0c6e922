// A recompute segment as code: a method of its own in the class of the module in which it stands,
// which invact::recompute runs in forward and again in backward (kernels/ops.h). Makes new graphs;
// code_editor.cpp edits the code that calls them.
#pragma once

#include <ATen/core/jit_type.h>
#include <torch/csrc/jit/api/compilation_unit.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/ir/ir.h>

#include <string>
#include <vector>

namespace invact {

/// A segment's method and what it has to be given, in order.
struct SegmentMethod {
  std::string name;
  /// Saved for backward; a tensor that is read outside too stands here as often as the segment
  /// reads it.
  std::vector<torch::jit::Value*> tensors;
  std::vector<torch::jit::Value*> others;  ///< Numbers, flags, and running statistics.
};

/// Adds a method to `type` that does what `nodes` do, which stand in one block in the order of
/// running. Where backward must do something else (update no statistics, draw no random numbers), a
/// second method, whose name ends in `_again`, does that.
SegmentMethod make_segment_method(const c10::ClassTypePtr& type, torch::jit::CompilationUnit& unit,
                                  const std::vector<torch::jit::Node*>& nodes);

/// Removes the methods that make_segment_method() added to the module's class.
void remove_segment_methods(const torch::jit::Module& module);

}  // namespace invact
