// Prints the reference functions in decimal, for python_reference_test.py.
#include <cstdio>
#include <limits>

#include "tests/kernels/math/reference_functions.h"

namespace {

constexpr int kDigits = std::numeric_limits<long double>::max_digits10;

void print_values(const std::string& name, long double (*value)(long double),
                  long double (*derivative)(long double)) {
  for (int step = -480; step <= 480; step += 7) {
    const long double x = step / 32.0L;
    std::printf("%s %.*Lg %.*Lg %.*Lg\n", name.c_str(), kDigits, x, kDigits, value(x), kDigits,
                derivative(x));
  }
}

}  // namespace

int main() {
  for (const invact::testing::Reference& reference : invact::testing::references()) {
    std::printf("%s minimum %.*Lg\n", reference.name.c_str(), kDigits, reference.minimum_x);
    print_values(reference.name, reference.value, reference.derivative);
  }
  for (const invact::testing::ClosedReference& reference : invact::testing::closed_references()) {
    print_values(reference.name, reference.value, reference.derivative);
  }
}
