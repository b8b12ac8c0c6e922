// Prints the reference functions of reference.h in decimal, for python_reference_test.py.
#include <cstdio>
#include <limits>

#include "tests/kernels/reference.h"

int main() {
  constexpr int kDigits = std::numeric_limits<long double>::max_digits10;
  for (const invact::testing::Reference& reference : invact::testing::references()) {
    std::printf("%s minimum %.*Lg\n", reference.name.c_str(), kDigits, reference.minimum_x);
    for (int step = -480; step <= 480; step += 7) {
      const long double x = step / 32.0L;
      std::printf("%s %.*Lg %.*Lg %.*Lg\n", reference.name.c_str(), kDigits, x, kDigits,
                  reference.value(x), kDigits, reference.slope(x));
    }
  }
}
