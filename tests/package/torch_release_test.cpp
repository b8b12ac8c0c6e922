#include "kernels/torch_release.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace invact::kernels {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t version(uint64_t major, uint64_t minor, uint64_t patch) {
  return major << 56 | minor << 48 | patch << 40;
}

TEST(TorchReleaseTest, PatchesOfOneReleaseMatch) {
  EXPECT_EQ(release_mismatch(version(2, 11, 0), version(2, 11, 0)), std::nullopt);
  EXPECT_EQ(release_mismatch(version(2, 11, 0), version(2, 11, 3)), std::nullopt);
  EXPECT_EQ(release_mismatch(version(2, 11, 3), version(2, 11, 0)), std::nullopt);
  // The lower bytes are the release candidate's and the like.
  EXPECT_EQ(release_mismatch(version(2, 11, 0), version(2, 11, 0) + 7), std::nullopt);
}

TEST(TorchReleaseTest, OtherReleasesAreNamedBothAndTheCure) {
  EXPECT_EQ(release_mismatch(version(2, 11, 0), version(2, 12, 1)),
            "libinvact_kernels was built for LibTorch 2.11.0 but this process runs LibTorch "
            "2.12.1: rebuild invact against LibTorch 2.12.1, or load a LibTorch 2.11.");
  EXPECT_THAT(release_mismatch(version(2, 11, 0), version(2, 10, 0)).value_or(""),
              HasSubstr("runs LibTorch 2.10.0"));
  EXPECT_THAT(release_mismatch(version(2, 11, 0), version(3, 11, 0)).value_or(""),
              HasSubstr("runs LibTorch 3.11.0"));
}

}  // namespace
}  // namespace invact::kernels
