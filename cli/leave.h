// How the process ends.
#pragma once

namespace invact {

/// Ends the process with `code` and does not destroy what is alive: after a large model, freeing
/// graphs and LibTorch's own tables piece by piece takes as long as a tenth of a training step, and
/// the system takes the memory back at once. Returns `code` instead where destructors have work to
/// do: in a sanitizer's build, whose leak check reads what is left, and once LibTorch's CUDA half
/// is loaded, whose profilers write their files when the process exits. What was written must be
/// closed; stdout and stderr are flushed here. With output that cannot be written, a code of
/// success becomes kExitEnvironment.
int leave(int code);

}  // namespace invact
