// Where the refinement codes of math/refinement.h lie: in the places of outputs above zero, which
// need no branch bit. Within each word of 64 elements, outputs near the minimum take the next free
// places in order, six each, until the word has too few left. Both sides read this from the stored
// output alone, so that nothing else is saved. Included only by
// activation_loops.cpp.
#pragma once

#include <cstdint>
#if defined(__BMI2__)
#include <immintrin.h>
#endif

#include "kernels/cpu/bit_words.h"
#include "kernels/math/host_device.h"
#include "kernels/math/refinement.h"

namespace invact::kernels::cpu {
namespace {

/// Calls `visit(element, rank, has_code)` for the set bits of `near`, in order: whether the free
/// places reach for the code of this rank. The first comes without a branch, `has_code` false where
/// there is none: every other word has one, which no predictor can tell.
template <class Visit>
INVACT_HOST_DEVICE void for_each_refined(uint64_t near, uint64_t free, const Visit& visit) {
  constexpr uint64_t kLast = uint64_t{1} << (kWord - 1);
  const int available = __builtin_popcountll(free) / math::kRefinementBits;
  visit(__builtin_ctzll(near | kLast), 0, (near != 0) & (available > 0));
  near &= near - 1;
  for (int rank = 1; near != 0 && rank < available; ++rank, near &= near - 1) {
    visit(__builtin_ctzll(near), rank, true);
  }
}

#if defined(__BMI2__)
/// The code on the places of its rank: the set bits of `free`, kRefinementBits each.
INVACT_HOST_DEVICE uint64_t scatter_code(int code, int rank, uint64_t free) {
  return _pdep_u64(static_cast<uint64_t>(code) << (math::kRefinementBits * rank), free);
}

INVACT_HOST_DEVICE int gather_code(uint64_t word, int rank, uint64_t free) {
  return static_cast<int>(_pext_u64(word, free) >> (math::kRefinementBits * rank) &
                          math::kRefinementSteps);
}
#else
/// `free` without the places of lower ranks.
INVACT_HOST_DEVICE uint64_t from_rank(int rank, uint64_t free) {
  for (int place = 0; place < math::kRefinementBits * rank; ++place) free &= free - 1;
  return free;
}

INVACT_HOST_DEVICE uint64_t scatter_code(int code, int rank, uint64_t free) {
  uint64_t word = 0;
  uint64_t places = from_rank(rank, free);
  for (; code != 0; code >>= 1, places &= places - 1) {
    if (code & 1) word |= places & (~places + 1);
  }
  return word;
}

INVACT_HOST_DEVICE int gather_code(uint64_t word, int rank, uint64_t free) {
  int code = 0;
  uint64_t places = from_rank(rank, free);
  for (int bit = 0; bit < math::kRefinementBits; ++bit, places &= places - 1) {
    code |= (word & places & (~places + 1)) != 0 ? 1 << bit : 0;
  }
  return code;
}
#endif

}  // namespace
}  // namespace invact::kernels::cpu
