#include "rewriter/verification/gradient_distance.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace invact {

void visit_pieces(const at::Tensor& a, const at::Tensor& b,
                  const std::function<void(int64_t, const at::Tensor&, const at::Tensor&)>& visit) {
  constexpr int64_t kPiece = 1 << 18;
  const at::Tensor flat_a = a.flatten(), flat_b = b.flatten();
  const auto piece = [](const at::Tensor& flat, int64_t first, int64_t size) {
    return flat.narrow(0, first, size).to(at::kCPU, at::kDouble);
  };
  for (int64_t first = 0; first < flat_a.numel(); first += kPiece) {
    const int64_t size = std::min(kPiece, flat_a.numel() - first);
    visit(first, piece(flat_a, first, size), piece(flat_b, first, size));
  }
}

GradientDifference difference_of(const at::Tensor& a, const at::Tensor& b) {
  if (!a.defined()) return {};
  double square = 0, difference_square = 0;
  visit_pieces(a, b.defined() ? b : a, [&](int64_t, const at::Tensor& x, const at::Tensor& y) {
    square += std::pow(x.norm().item<double>(), 2);
    difference_square += std::pow((x - y).norm().item<double>(), 2);
  });
  return {std::sqrt(square), b.defined() ? std::sqrt(difference_square) : 0};
}

std::vector<double> distance_terms(const std::vector<GradientDifference>& differences) {
  double largest = 0;
  for (const GradientDifference& gradient : differences) {
    largest = std::max(largest, gradient.norm);
  }
  std::vector<double> terms;
  for (const auto& [norm, difference] : differences) {
    const double scale = std::max(norm, largest / 1000);
    terms.push_back(scale > 0 ? difference / scale : difference);
  }
  return terms;
}

double largest_term(const std::vector<double>& terms) {
  double largest = 0;
  for (const double term : terms) largest = std::isnan(term) ? INFINITY : std::max(largest, term);
  return largest;
}

}  // namespace invact
