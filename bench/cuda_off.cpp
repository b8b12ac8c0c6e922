// A build without CUDA: there is no GPU, and these functions are never called.
#include <c10/util/Exception.h>

#include "bench/device.h"

namespace invact::bench::cuda {

bool is_available() {
  return false;
}

double seconds_of(int64_t, Work) {
  TORCH_CHECK(false, "the bench was built without CUDA");
}

MemoryUse memory_use(c10::function_ref<void(Work mark)>) {
  TORCH_CHECK(false, "the bench was built without CUDA");
}

}  // namespace invact::bench::cuda
