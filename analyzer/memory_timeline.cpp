#include "analyzer/memory_timeline.h"

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

}  // namespace invact
