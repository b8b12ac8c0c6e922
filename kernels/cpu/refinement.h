// Where the refinement bits of math/refinement.h lie: in the places of outputs above zero, which
// need no branch bit. Within each block, outputs near the minimum take the next free places in
// order, six each, until the block has too few left. Both sides read this from the stored output
// alone, so that nothing else is kept. Included only by loops.cpp, inside that unit's own
// namespace.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/math/host_device.h"
#include "kernels/math/refinement.h"

namespace invact::kernels::cpu {
namespace {

/// Calls `visit(element, places)` for each output near the minimum that has
/// `places[kRefinementBits]` to itself.
template <int kCount, class F, class Visit>
INVACT_HOST_DEVICE void for_each_refined(const F& f, const float* y, const Visit& visit) {
  uint8_t near[kCount];
  for (int i = 0; i < kCount; ++i) near[i] = f.is_near_minimum(y[i]) ? 1 : 0;
  int next_place = 0;
  for (int first = 0; first < kCount; first += 8) {
    uint64_t any;
    memcpy(&any, near + first, sizeof(any));
    if (any == 0) continue;
    for (int i = first; i < first + 8; ++i) {
      if (!near[i]) continue;
      int places[math::kRefinementBits];
      for (int bit = 0; bit < math::kRefinementBits; ++bit) {
        while (next_place < kCount && !(y[next_place] > 0.0f)) ++next_place;
        if (next_place == kCount) return;
        places[bit] = next_place++;
      }
      visit(i, places);
    }
  }
}

template <int kCount, class F>
INVACT_HOST_DEVICE void write_refinements(const F& f, const float* x, const float* y,
                                          uint8_t* bits) {
  for_each_refined<kCount>(f, y, [&](int element, const int* places) {
    const int code = f.refinement_code(x[element], y[element]);
    for (int bit = 0; bit < math::kRefinementBits; ++bit) {
      const int place = places[bit];
      bits[place / 8] = static_cast<uint8_t>(bits[place / 8] | (code >> bit & 1) << place % 8);
    }
  });
}

/// Calls `refine(element, code)` for each element that has a code.
template <int kCount, class F, class Refine>
INVACT_HOST_DEVICE void read_refinements(const F& f, const float* y, const uint8_t* bits,
                                         const Refine& refine) {
  for_each_refined<kCount>(f, y, [&](int element, const int* places) {
    int code = 0;
    for (int bit = 0; bit < math::kRefinementBits; ++bit) {
      code |= (bits[places[bit] / 8] >> places[bit] % 8 & 1) << bit;
    }
    if (code != 0) refine(element, code);
  });
}

}  // namespace
}  // namespace invact::kernels::cpu
