// Preloaded, it makes LibTorch say that it is release 2.99.1.
#include <cstdint>

extern "C" __attribute__((visibility("default"))) uint64_t aoti_torch_abi_version() {
  return uint64_t{2} << 56 | uint64_t{99} << 48 | uint64_t{1} << 40;
}
