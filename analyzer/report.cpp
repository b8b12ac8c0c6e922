#include "analyzer/report.h"

namespace invact {

std::string memory_kind_name(MemoryKind kind) {
  switch (kind) {
    case MemoryKind::kParameters:
      return "parameters";
    case MemoryKind::kGradients:
      return "gradients";
    case MemoryKind::kSaved:
      return "saved";
    case MemoryKind::kTemporaries:
      return "temporaries";
    case MemoryKind::kOther:
      return "other";
  }
  return "";
}

std::string step_phase_name(StepPhase phase) {
  return phase == StepPhase::kForward ? "forward" : "backward";
}

std::string duplicate_kind_name(DuplicateKind kind) {
  switch (kind) {
    case DuplicateKind::kActivation:
      return "activation";
    case DuplicateKind::kComposite:
      return "composite";
    case DuplicateKind::kNorm:
      return "norm";
    case DuplicateKind::kGate:
      return "gate";
    case DuplicateKind::kDropout:
      return "dropout";
    case DuplicateKind::kCast:
      return "cast";
    case DuplicateKind::kCopy:
      return "copy";
  }
  return "";
}

std::string duplicate_advice(DuplicateKind kind) {
  switch (kind) {
    case DuplicateKind::kActivation:
      return "`invact rewrite` keeps the output and at most one bit per element instead.";
    case DuplicateKind::kComposite:
      return "`invact rewrite` makes one operator of the functions that it knows (GELU, SiLU, "
             "RMSNorm).";
    case DuplicateKind::kNorm:
      return "`invact rewrite` keeps the output and a number per row, where the weights allow it.";
    case DuplicateKind::kGate:
      return "It can be computed again from what it is made of: checkpoint the lines of the gate.";
    case DuplicateKind::kDropout:
      return "`invact rewrite` keeps a bit per element of the mask instead.";
    case DuplicateKind::kCast:
      return "This cast keeps a second copy: cast once, or let both readers read one dtype.";
    case DuplicateKind::kCopy:
      return "Both readers could read one layout: contiguous() or reshape() made a second copy.";
  }
  return "";
}

}  // namespace invact
