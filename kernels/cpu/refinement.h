// Where the refinement codes of math/refinement.h lie: in the places of outputs above zero, which
// need no branch bit. Within each word of 64 elements, outputs near the minimum take the next free
// places in order, six each, until the word has too few left. Both sides read this from the stored
// output alone, so that nothing else is kept. Included only by loops.cpp, inside that unit's own
// namespace.
#pragma once

#include <cstdint>

#include "kernels/math/host_device.h"
#include "kernels/math/refinement.h"

namespace invact::kernels::cpu {
namespace {

/// Calls `visit(element, places)` for each bit of `near` that gets places: a word with
/// kRefinementBits set bits of `free`.
template <class Visit>
INVACT_HOST_DEVICE void for_each_refined(uint64_t near, uint64_t free, const Visit& visit) {
  for (; near != 0; near &= near - 1) {
    uint64_t rest = free;
    for (int bit = 0; bit < math::kRefinementBits; ++bit) {
      if (rest == 0) return;
      rest &= rest - 1;
    }
    visit(__builtin_ctzll(near), free & ~rest);
    free = rest;
  }
}

/// The low bits of `code` on the set bits of `places`, lowest first.
INVACT_HOST_DEVICE uint64_t scatter_code(int code, uint64_t places) {
  uint64_t word = 0;
  for (; places != 0; places &= places - 1, code >>= 1) {
    if (code & 1) word |= places & (~places + 1);
  }
  return word;
}

INVACT_HOST_DEVICE int gather_code(uint64_t word, uint64_t places) {
  int code = 0;
  for (int bit = 0; places != 0; places &= places - 1, ++bit) {
    code |= (word & places & (~places + 1)) != 0 ? 1 << bit : 0;
  }
  return code;
}

}  // namespace
}  // namespace invact::kernels::cpu
