// Where the refinement bits of math/refinement.h lie: in the places of outputs above zero, which
// need no branch bit. Within each block, outputs near the minimum take the next free places in
// order, six each, until the block has too few left. Both sides read this from the stored output
// alone, so that nothing else is kept. Included only by loops.cpp, inside that unit's own
// namespace.
#pragma once

#include <cstdint>

#include "kernels/cpu/bit_flags.h"
#include "kernels/math/host_device.h"
#include "kernels/math/refinement.h"

namespace invact::kernels::cpu {
namespace {

/// Calls `visit(element, places)` for each output near the minimum that has
/// `places[kRefinementBits]` to itself.
template <int kCount, class F, class Visit>
INVACT_HOST_DEVICE void for_each_refined(const F& f, const float* y, const Visit& visit) {
  uint8_t near_flags[kCount];
  uint8_t place_flags[kCount];
  for (int i = 0; i < kCount; ++i) near_flags[i] = f.is_near_minimum(y[i]) ? 1 : 0;
  for (int i = 0; i < kCount; ++i) place_flags[i] = y[i] > 0.0f ? 1 : 0;
  SetFlags<kCount> near(near_flags);
  SetFlags<kCount> free(place_flags);
  for (int element = near.next(); element >= 0; element = near.next()) {
    int places[math::kRefinementBits];
    for (int& place : places) {
      place = free.next();
      if (place < 0) return;
    }
    visit(element, places);
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
