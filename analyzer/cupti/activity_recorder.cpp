#include "analyzer/cupti/activity_recorder.h"

#include <cupti.h>
#include <dlfcn.h>

#include <array>
#include <cstdlib>
#include <mutex>

#include "analyzer/cupti/activity_parser.h"
#include "analyzer/cupti/cupti_error.h"
#include "analyzer/error.h"

namespace invact {
namespace {

/// Large enough that a step of a small model needs a few; CUPTI's guide advises 1 to 10 MB.
constexpr size_t kBufferBytes = size_t{4} << 20;

constexpr CUpti_ActivityKind kMemoryKinds[] = {CUPTI_ACTIVITY_KIND_MEMORY2,
                                               CUPTI_ACTIVITY_KIND_MEMORY_POOL};
/// CONCURRENT_KERNEL, not KERNEL: the latter runs kernels one after another.
constexpr CUpti_ActivityKind kWorkKinds[] = {
    CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION, CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL,
    CUPTI_ACTIVITY_KIND_MEMCPY, CUPTI_ACTIVITY_KIND_MEMSET};

/// The subscription only claims CUPTI; no callback is enabled for it.
void ignore_callback(void*, CUpti_CallbackDomain, CUpti_CallbackId, const void*) {}

CUpti_SubscriberHandle claim_cupti() {
  std::array<char, CUPTI_OLD_SUBSCRIBER_NAME_MIN_LEN> holder{};
  CUpti_SubscriberParams parameters{};
  parameters.structSize = CUpti_SubscriberParams_STRUCT_SIZE;
  parameters.subscriberName = "invact";
  parameters.oldSubscriberName = holder.data();
  parameters.oldSubscriberSize = holder.size();
  CUpti_SubscriberHandle subscriber{};
  const CUptiResult result = cuptiSubscribe_v2(&subscriber, &ignore_callback, nullptr, &parameters);
  holder.back() = '\0';
  if (result != CUPTI_SUCCESS) {
    throw_environment_error(
        explain_cupti_failure(result, "claim the GPU's activity records", holder.data()));
  }
  return subscriber;
}

}  // namespace

bool activity_recorder_is_built() {
  return true;
}

std::optional<uint32_t> cupti_api_version() {
  // CUPTI 13.2 asks the driver for this. Without a driver it calls itself until the stack is full.
  if (!dlopen("libcuda.so.1", RTLD_LAZY)) return CUPTI_API_VERSION;
  uint32_t version = 0;
  if (cuptiGetVersion(&version) != CUPTI_SUCCESS) return std::nullopt;
  return version;
}

class ActivityRecorder::Recording {
 public:
  Recording() : subscriber_(claim_cupti()) {
    try {
      begin();
    } catch (...) {
      stop();
      throw;
    }
  }
  ~Recording() { stop(); }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  void record_work() {
    for (const CUpti_ActivityKind kind : kWorkKinds) {
      check_cupti(cuptiActivityEnable(kind), "record kernels and copies");
    }
  }

  void push(ExternalId id) noexcept {
    note(cuptiActivityPushExternalCorrelationId(kOurCorrelation, id), "name an operator's kernels");
  }

  void pop() noexcept {
    note(cuptiActivityPopExternalCorrelationId(kOurCorrelation, nullptr),
         "name an operator's kernels");
  }

  DeviceActivity finish() {
    stop();
    const std::lock_guard lock(mutex_);
    check_cupti(failure_, failed_action_);
    return parser_.finish();
  }

 private:
  void begin() {
    {
      const std::lock_guard lock(active_mutex());
      active() = this;
    }
    // Unchecked: where the host cannot hold CUPTI's buffers they stay on the device, which is no
    // reason not to record.
    uint8_t host_pinned = 1;
    size_t value_bytes = sizeof(host_pinned);
    cuptiActivitySetAttribute(CUPTI_ACTIVITY_ATTR_MEM_ALLOCATION_TYPE_HOST_PINNED, &value_bytes,
                              &host_pinned);
    check_cupti(cuptiActivityRegisterCallbacks(&on_buffer_requested, &on_buffer_completed),
                "receive activity records");
    for (const CUpti_ActivityKind kind : kMemoryKinds) {
      check_cupti(cuptiActivityEnable(kind), "record device memory");
    }
    check_cupti(cuptiActivityEnableAllocationSource(1), "record who asks for device memory");
  }

  /// May be called twice, and from a destructor: it stores failures for finish().
  void stop() noexcept {
    if (!running_) return;
    running_ = false;
    // A kind that was never enabled may be disabled as well.
    for (const CUpti_ActivityKind kind : kWorkKinds) cuptiActivityDisable(kind);
    for (const CUpti_ActivityKind kind : kMemoryKinds) cuptiActivityDisable(kind);
    note(cuptiActivityFlushAll(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED), "flush activity records");
    count_dropped(*this);
    note(cuptiActivityEnableAllocationSource(0), "stop recording");
    {
      const std::lock_guard lock(active_mutex());
      active() = nullptr;
    }
    note(cuptiUnsubscribe(subscriber_), "stop recording");
  }

  void note(CUptiResult result, const char* action) noexcept {
    if (result == CUPTI_SUCCESS) return;
    const std::lock_guard lock(mutex_);
    if (failure_ != CUPTI_SUCCESS) return;
    failure_ = result;
    failed_action_ = action;
  }

  /// Asks CUPTI while no lock is held: CUPTI may request a buffer meanwhile.
  static void count_dropped(Recording& recording) noexcept {
    size_t dropped = 0;
    const CUptiResult result = cuptiActivityGetNumDroppedRecords(nullptr, 0, &dropped);
    recording.note(result, "count dropped records");
    const std::lock_guard lock(recording.mutex_);
    recording.parser_.add_dropped(dropped);
  }

  // CUPTI's callbacks carry no pointer of ours, so the recording must be reachable from everywhere.
  static Recording*& active() {
    static Recording* recording = nullptr;
    return recording;
  }
  static std::mutex& active_mutex() {
    static std::mutex mutex;
    return mutex;
  }

  /// A null buffer makes CUPTI drop records and count them.
  static void CUPTIAPI on_buffer_requested(uint8_t** buffer, size_t* bytes, size_t* max_records) {
    *buffer = static_cast<uint8_t*>(std::malloc(kBufferBytes));
    *bytes = *buffer != nullptr ? kBufferBytes : 0;
    *max_records = 0;
  }

  static void CUPTIAPI on_buffer_completed(CUcontext, uint32_t, uint8_t* buffer, size_t,
                                           size_t valid_bytes) {
    {
      // Held while the buffer is read, so that the recording cannot end meanwhile. Requests for
      // buffers take no lock, so CUPTI may make one.
      const std::lock_guard active_lock(active_mutex());
      if (Recording* const recording = active()) recording->read(buffer, valid_bytes);
    }
    std::free(buffer);
  }

  void read(uint8_t* buffer, size_t valid_bytes) noexcept {
    count_dropped(*this);
    try {
      const std::lock_guard lock(mutex_);
      parser_.add_buffer(buffer, valid_bytes);
    } catch (const std::exception&) {
      // Only memory can run out here; an exception must not pass through CUPTI.
      note(CUPTI_ERROR_OUT_OF_MEMORY, "keep activity records");
    }
  }

  CUpti_SubscriberHandle subscriber_;
  bool running_ = true;
  std::mutex mutex_;  ///< Guards what follows.
  ActivityParser parser_;
  CUptiResult failure_ = CUPTI_SUCCESS;
  const char* failed_action_ = "";
};

ActivityRecorder::ActivityRecorder() {
  // Without a driver CUPTI cannot answer, and that of CUDA 13.2 calls itself until the stack is
  // full.
  if (!dlopen("libcuda.so.1", RTLD_LAZY)) {
    throw_environment_error(
        "Cannot record a GPU: there is no NVIDIA driver here (libcuda.so.1 cannot be loaded).");
  }
  recording_ = std::make_unique<Recording>();
}

ActivityRecorder::~ActivityRecorder() = default;

void ActivityRecorder::record_work() {
  recording_->record_work();
}

void ActivityRecorder::push_external_id(ExternalId id) noexcept {
  recording_->push(id);
}

void ActivityRecorder::pop_external_id() noexcept {
  recording_->pop();
}

DeviceActivity ActivityRecorder::finish() {
  return recording_->finish();
}

}  // namespace invact
