#include "analyzer/cupti/activity_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "analyzer/cupti/cupti_error.h"
#include "analyzer/error.h"

namespace invact::testing {
namespace {

using ::testing::HasSubstr;

#if CUPTI_API_VERSION >= 130200
using KernelRecord = CUpti_ActivityKernel11;
#else
using KernelRecord = CUpti_ActivityKernel10;
#endif

/// A completed buffer as CUPTI would hand it over.
class Buffer {
 public:
  template <typename Record>
  Buffer& add(const Record& record) {
    const auto* const bytes = reinterpret_cast<const uint8_t*>(&record);
    bytes_.insert(bytes_.end(), bytes, bytes + sizeof(Record));
    return *this;
  }
  uint8_t* data() { return bytes_.data(); }
  size_t bytes() const { return bytes_.size(); }

 private:
  std::vector<uint8_t> bytes_;
};

size_t record_bytes(CUpti_ActivityKind kind) {
  switch (kind) {
    case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL:
      return sizeof(KernelRecord);
    case CUPTI_ACTIVITY_KIND_MEMCPY:
      return sizeof(CUpti_ActivityMemcpy6);
    case CUPTI_ACTIVITY_KIND_MEMSET:
      return sizeof(CUpti_ActivityMemset4);
    case CUPTI_ACTIVITY_KIND_MEMORY2:
      return sizeof(CUpti_ActivityMemory4);
    case CUPTI_ACTIVITY_KIND_MEMORY_POOL:
      return sizeof(CUpti_ActivityMemoryPool3);
    case CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION:
      return sizeof(CUpti_ActivityExternalCorrelation);
    case CUPTI_ACTIVITY_KIND_NAME:
      return sizeof(CUpti_ActivityName);
    default:
      return 0;
  }
}

/// cuptiActivityGetNextRecord by its documentation. The library's own crashes in CUPTI 13.2 where
/// there is no driver.
CUptiResult next_record(uint8_t* buffer, size_t valid_bytes, CUpti_Activity** record) {
  size_t begin = 0;
  if (*record != nullptr) {
    begin = static_cast<size_t>(reinterpret_cast<uint8_t*>(*record) - buffer) +
            record_bytes((*record)->kind);
  }
  if (begin == valid_bytes) return CUPTI_ERROR_MAX_LIMIT_REACHED;
  auto* const next = reinterpret_cast<CUpti_Activity*>(buffer + begin);
  const size_t bytes = record_bytes(next->kind);
  if (bytes == 0 || begin + bytes > valid_bytes) return CUPTI_ERROR_INVALID_KIND;
  *record = next;
  return CUPTI_SUCCESS;
}

KernelRecord kernel(const char* name, uint64_t start, uint64_t end, uint32_t correlation) {
  KernelRecord record{};
  record.kind = CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL;
  record.name = name;
  record.start = start;
  record.end = end;
  record.deviceId = 1;
  record.streamId = 7;
  record.correlationId = correlation;
  return record;
}

CUpti_ActivityExternalCorrelation correlation(uint32_t correlation_id, uint64_t external_id,
                                              CUpti_ExternalCorrelationKind kind) {
  CUpti_ActivityExternalCorrelation record{};
  record.kind = CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION;
  record.externalKind = kind;
  record.externalId = external_id;
  record.correlationId = correlation_id;
  return record;
}

CUpti_ActivityMemory4 memory(CUpti_ActivityMemoryOperationType type, uint64_t address,
                             uint64_t bytes, const char* source) {
  CUpti_ActivityMemory4 record{};
  record.kind = CUPTI_ACTIVITY_KIND_MEMORY2;
  record.memoryOperationType = type;
  record.memoryKind = CUPTI_ACTIVITY_MEMORY_KIND_DEVICE;
  record.address = address;
  record.bytes = bytes;
  record.timestamp = 100;
  record.correlationId = 9;
  record.source = source;
  return record;
}

constexpr auto kAllocation = CUPTI_ACTIVITY_MEMORY_OPERATION_TYPE_ALLOCATION;
constexpr auto kRelease = CUPTI_ACTIVITY_MEMORY_OPERATION_TYPE_RELEASE;

DeviceActivity parse(Buffer buffer) {
  ActivityParser parser;
  parser.add_buffer(buffer.data(), buffer.bytes(), &next_record);
  return parser.finish();
}

TEST(ActivityParserTest, KernelWithItsNameTimesAndPlace) {
  const DeviceActivity activity = parse(Buffer().add(kernel("_Z4gelui", 10, 25, 3)));
  ASSERT_EQ(activity.kernels.size(), 1u);
  EXPECT_EQ(activity.kernels[0], (KernelRun{"_Z4gelui", {10, 25, 1, 7, 3, 0}}));
  EXPECT_EQ(activity.incomplete_count, 0);
}

TEST(ActivityParserTest, KernelWithoutANameIsKept) {
  EXPECT_EQ(parse(Buffer().add(kernel(nullptr, 1, 2, 3))).kernels.at(0).name, "");
}

TEST(ActivityParserTest, ExternalIdsArriveBeforeAfterAndInAnotherBuffer) {
  ActivityParser parser;
  Buffer first, second;
  first.add(correlation(1, 11, kOurCorrelation)).add(kernel("before", 1, 2, 1));
  first.add(kernel("after", 2, 3, 2)).add(correlation(2, 22, kOurCorrelation));
  first.add(kernel("elsewhere", 3, 4, 3)).add(kernel("nobody's", 4, 5, 4));
  second.add(correlation(3, 33, kOurCorrelation));
  parser.add_buffer(first.data(), first.bytes(), &next_record);
  parser.add_buffer(second.data(), second.bytes(), &next_record);
  const DeviceActivity activity = parser.finish();
  ASSERT_EQ(activity.kernels.size(), 4u);
  EXPECT_EQ(activity.kernels[0].span.external_id, 11u);
  EXPECT_EQ(activity.kernels[1].span.external_id, 22u);
  EXPECT_EQ(activity.kernels[2].span.external_id, 33u);
  EXPECT_EQ(activity.kernels[3].span.external_id, 0u);
}

TEST(ActivityParserTest, CorrelationsOfOtherProfilersAreIgnored) {
  const DeviceActivity activity =
      parse(Buffer()
                .add(correlation(1, 11, kOurCorrelation))
                .add(correlation(1, 99, CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM0))
                .add(kernel("k", 1, 2, 1)));
  EXPECT_EQ(activity.kernels.at(0).span.external_id, 11u);
}

TEST(ActivityParserTest, AllocationAndReleaseWithTheirSource) {
  const DeviceActivity activity =
      parse(Buffer()
                .add(memory(kAllocation, 0xa000, 4096, "/usr/lib/libnccl.so.2"))
                .add(correlation(9, 5, kOurCorrelation))
                .add(memory(kRelease, 0xa000, 4096, nullptr)));
  ASSERT_EQ(activity.memory.size(), 2u);
  EXPECT_EQ(activity.memory[0].library, "/usr/lib/libnccl.so.2");
  EXPECT_EQ(activity.memory[0].place, MemoryPlace::kDevice);
  EXPECT_EQ(activity.memory[0].bytes, 4096);
  EXPECT_EQ(activity.memory[0].external_id, 5u);
  EXPECT_FALSE(activity.memory[0].from_pool);
  EXPECT_TRUE(activity.memory[1].is_release);
  EXPECT_EQ(activity.memory[1].library, "");
}

TEST(ActivityParserTest, AllocationFromALocalAndFromAnImportedPool) {
  auto local = memory(kAllocation, 1, 512, nullptr);
  local.memoryPoolConfig.memoryPoolType = CUPTI_ACTIVITY_MEMORY_POOL_TYPE_LOCAL;
  local.memoryPoolConfig.address = 0xb000;
  local.memoryPoolConfig.pool.size = 1 << 20;
  auto imported = local;
  imported.memoryPoolConfig.memoryPoolType = CUPTI_ACTIVITY_MEMORY_POOL_TYPE_IMPORTED;
  imported.memoryPoolConfig.pool.processId = 4321;
  const DeviceActivity activity = parse(Buffer().add(local).add(imported));
  ASSERT_EQ(activity.memory.size(), 2u);
  EXPECT_TRUE(activity.memory[0].from_pool);
  EXPECT_EQ(activity.memory[0].pool_address, 0xb000u);
  EXPECT_EQ(activity.memory[0].pool_reserved_bytes, 1 << 20);
  EXPECT_TRUE(activity.memory[1].from_pool);
  EXPECT_EQ(activity.memory[1].pool_reserved_bytes, 0);
}

TEST(ActivityParserTest, AMemoryOperationOfNoKnownTypeIsCountedNotGuessed) {
  const DeviceActivity activity =
      parse(Buffer().add(memory(CUPTI_ACTIVITY_MEMORY_OPERATION_TYPE_INVALID, 1, 2, nullptr)));
  EXPECT_TRUE(activity.memory.empty());
  EXPECT_EQ(activity.incomplete_count, 1);
}

TEST(ActivityParserTest, EveryKindOfMemoryIsToldApart) {
  const std::pair<CUpti_ActivityMemoryKind, MemoryPlace> kinds[] = {
      {CUPTI_ACTIVITY_MEMORY_KIND_UNKNOWN, MemoryPlace::kUnknown},
      {CUPTI_ACTIVITY_MEMORY_KIND_PAGEABLE, MemoryPlace::kPageableHost},
      {CUPTI_ACTIVITY_MEMORY_KIND_PINNED, MemoryPlace::kPinnedHost},
      {CUPTI_ACTIVITY_MEMORY_KIND_ARRAY, MemoryPlace::kArray},
      {CUPTI_ACTIVITY_MEMORY_KIND_MANAGED, MemoryPlace::kManaged},
      {CUPTI_ACTIVITY_MEMORY_KIND_DEVICE_STATIC, MemoryPlace::kStaticDevice},
      {CUPTI_ACTIVITY_MEMORY_KIND_MANAGED_STATIC, MemoryPlace::kStaticManaged},
  };
  for (const auto& [kind, place] : kinds) {
    auto record = memory(kAllocation, 1, 2, nullptr);
    record.memoryKind = kind;
    EXPECT_EQ(parse(Buffer().add(record)).memory.at(0).place, place) << kind;
  }
}

TEST(ActivityParserTest, PoolsCopiesAndSets) {
  CUpti_ActivityMemoryPool3 pool{};
  pool.kind = CUPTI_ACTIVITY_KIND_MEMORY_POOL;
  pool.memoryPoolOperationType = CUPTI_ACTIVITY_MEMORY_POOL_OPERATION_TYPE_TRIMMED;
  pool.address = 0xb000;
  pool.size = 64;
  pool.timestamp = 5;
  CUpti_ActivityMemcpy6 copy{};
  copy.kind = CUPTI_ACTIVITY_KIND_MEMCPY;
  copy.copyKind = CUPTI_ACTIVITY_MEMCPY_KIND_HTOD;
  copy.bytes = 32;
  copy.correlationId = 8;
  CUpti_ActivityMemset4 set{};
  set.kind = CUPTI_ACTIVITY_KIND_MEMSET;
  set.bytes = 16;
  set.start = 1;
  set.end = 3;
  const DeviceActivity activity =
      parse(Buffer().add(pool).add(copy).add(set).add(correlation(8, 44, kOurCorrelation)));
  ASSERT_EQ(activity.pools.size(), 1u);
  EXPECT_EQ(activity.pools[0], (PoolOperation{PoolChange::kTrimmed, 0xb000, 64, 5, 0}));
  ASSERT_EQ(activity.copies.size(), 1u);
  EXPECT_EQ(activity.copies[0].kind, CopyKind::kHostToDevice);
  EXPECT_EQ(activity.copies[0].span.external_id, 44u);
  ASSERT_EQ(activity.sets.size(), 1u);
  EXPECT_EQ(activity.sets[0].bytes, 16);
}

TEST(ActivityParserTest, KindsThatNobodyAskedForAreCounted) {
  CUpti_ActivityName name{};
  name.kind = CUPTI_ACTIVITY_KIND_NAME;
  const DeviceActivity activity = parse(Buffer().add(name).add(kernel("k", 1, 2, 3)));
  EXPECT_EQ(activity.unknown_count, 1);
  EXPECT_EQ(activity.kernels.size(), 1u);
}

TEST(ActivityParserTest, ATruncatedBufferKeepsWhatIsWhole) {
  Buffer buffer;
  buffer.add(kernel("whole", 1, 2, 3)).add(kernel("cut", 4, 5, 6));
  ActivityParser parser;
  parser.add_buffer(buffer.data(), buffer.bytes() - 8, &next_record);
  const DeviceActivity activity = parser.finish();
  ASSERT_EQ(activity.kernels.size(), 1u);
  EXPECT_EQ(activity.kernels[0].name, "whole");
  EXPECT_EQ(activity.incomplete_count, 1);
}

TEST(ActivityParserTest, AnEmptyBufferAndDroppedRecords) {
  ActivityParser parser;
  Buffer empty;
  parser.add_buffer(empty.data(), 0, &next_record);
  parser.add_dropped(3);
  parser.add_dropped(4);
  EXPECT_EQ(parser.finish().dropped_count, 7);
  EXPECT_EQ(parser.finish(), DeviceActivity{});
}

TEST(CuptiErrorTest, TheToolThatHoldsCuptiIsNamedWithAWayOut) {
  const std::string text = explain_cupti_failure(CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED,
                                                 "record", "Nsight Systems");
  EXPECT_THAT(text, HasSubstr("'Nsight Systems' has CUPTI already"));
  EXPECT_THAT(text, HasSubstr("--no-cupti"));
  EXPECT_THAT(explain_cupti_failure(CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED, "record"),
              HasSubstr("another tool has CUPTI already"));
}

TEST(CuptiErrorTest, EveryRefusalEndsTheCommandAsOneOfTheEnvironment) {
  const std::pair<CUptiResult, const char*> refusals[] = {
      {CUPTI_ERROR_NOT_INITIALIZED, "driver"},
      {CUPTI_ERROR_INSUFFICIENT_PRIVILEGES, "may not profile"},
      {CUPTI_ERROR_VIRTUALIZED_DEVICE_NOT_SUPPORTED, "virtual GPU"},
      {CUPTI_ERROR_CONFIDENTIAL_COMPUTING_NOT_SUPPORTED, "confidential computing"},
      {CUPTI_ERROR_MIG_DEVICE_NOT_SUPPORTED, "MIG"},
      {CUPTI_ERROR_UNKNOWN, "CUPTI answered 999"},
  };
  for (const auto& [result, reason] : refusals) {
    try {
      check_cupti(result, "record device memory");
      ADD_FAILURE() << result << " passed";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kEnvironment);
      EXPECT_THAT(error.what(), HasSubstr("Cannot record device memory: "));
      EXPECT_THAT(error.what(), HasSubstr(reason));
    }
  }
  check_cupti(CUPTI_SUCCESS, "record device memory");
}

}  // namespace
}  // namespace invact::testing
