#include "rewriter/site_times.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/records.h"

namespace invact::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// The gelu of small_device_report().
Plan plan_of_gelu() {
  Site site;
  site.id = "block.act/forward#1";
  site.op = "aten::gelu";
  site.place.method = "forward";
  site.module_paths = {"block.act"};
  site.nodes = {{"aten::gelu", {{"code.py", 30, 40}}}};
  Plan plan;
  plan.sites = {site};
  return plan;
}

TEST(SiteTimesTest, ASiteGetsItsOperatorsForwardAndBackward) {
  EXPECT_THAT(site_times(plan_of_gelu(), small_device_report()),
              ElementsAre(SiteTime{"block.act/forward#1", 40'000, 60'000}));
}

TEST(SiteTimesTest, AnotherInstanceOperatorOrPlaceIsAnotherSite) {
  const DeviceReport report = small_device_report();
  Plan plan = plan_of_gelu();
  plan.sites[0].module_paths = {"other.act"};
  EXPECT_THAT(site_times(plan, report), IsEmpty());
  plan = plan_of_gelu();
  plan.sites[0].nodes[0].op = "aten::silu";
  EXPECT_THAT(site_times(plan, report), IsEmpty());
  plan = plan_of_gelu();
  plan.sites[0].nodes[0].frames = {{"code.py", 30, 40}, {"code.py", 70, 80}};
  EXPECT_THAT(site_times(plan, report), IsEmpty());
  plan.sites[0].nodes[0].frames = {};
  EXPECT_THAT(site_times(plan, report), IsEmpty());
}

}  // namespace
}  // namespace invact::testing
