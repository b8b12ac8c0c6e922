#include "analyzer/observation/operator_marks.h"

#include <ATen/SequenceNumber.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>

#include "analyzer/error.h"
#include "analyzer/observation/call_sites.h"
#include "analyzer/reporting/build_device_report.h"

namespace invact {
namespace {

/// Operators within operators (linear calls addmm), and those that an autograd node calls, are
/// parts of the one that is marked.
thread_local int64_t depth = 0;

/// What a begin leaves for its end.
struct Mark : at::ObserverContext {
  CallId call;  ///< -1: nothing was marked.
  Pass pass = Pass::kForward;
  uint64_t first_node = 0;  ///< Forward: number of the next autograd node of this thread.
};

}  // namespace

class OperatorMarks::State {
 public:
  State(const torch::jit::Module& top, OperatorMarkListener& listener)
      : sites_(top), listener_(listener) {}

  std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& function) {
    auto mark = std::make_unique<Mark>();
    const bool is_node = function.scope() == at::RecordScope::BACKWARD_FUNCTION;
    mark->pass = is_node ? Pass::kBackward : Pass::kForward;
    // Reentrant backward runs nodes inside of nodes: each is marked for itself.
    if (depth++ == 0 || is_node) {
      mark->call = is_node ? saver_of(function) : begin_call(function);
      mark->first_node = at::sequence_number::peek();
    }
    if (mark->call.value >= 0) listener_.begin(external_id(mark->call, mark->pass));
    return mark;
  }

  void end(const Mark& mark) {
    if (mark.call.value < 0) return;
    listener_.end();
    if (mark.pass == Pass::kBackward) return;
    const uint64_t end_node = at::sequence_number::peek();
    if (end_node == mark.first_node) return;
    const std::lock_guard lock(mutex_);
    nodes_[at::RecordFunction::currentThreadId()].push_back({end_node, mark.first_node, mark.call});
  }

  std::vector<OperatorCall> calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
  }

 private:
  /// The autograd nodes that a call made carry consecutive numbers: [first, end).
  struct NodeRange {
    uint64_t end = 0;
    uint64_t first = 0;
    CallId call;
  };

  /// Outside of the model's code (the sum of gradients, a cotangent's copy) nothing is marked.
  CallId begin_call(const at::RecordFunction& function) {
    const auto callstack = callstack_through_forks();
    if (callstack.empty()) return {};
    const std::lock_guard lock(mutex_);
    OperatorCall& call = calls_.emplace_back();
    call.id = {static_cast<int64_t>(calls_.size()) - 1};
    call.op = function.name();
    sites_.resolve(callstack, call);
    return call.id;
  }

  CallId saver_of(const at::RecordFunction& function) {
    if (function.seqNr() < 0) return {};  // the sum into a parameter's gradient
    const auto number = static_cast<uint64_t>(function.seqNr());
    const std::lock_guard lock(mutex_);
    const auto found = nodes_.find(function.forwardThreadId());
    if (found == nodes_.end()) return {};
    // In increasing order, since a thread's calls end one after another.
    const auto range =
        std::upper_bound(found->second.begin(), found->second.end(), number,
                         [](uint64_t value, const NodeRange& node) { return value < node.end; });
    if (range == found->second.end() || number < range->first) return {};
    return range->call;
  }

  mutable std::mutex mutex_;  ///< Backward runs on threads of its own.
  CallSiteResolver sites_;
  std::vector<OperatorCall> calls_;
  std::map<uint64_t, std::vector<NodeRange>> nodes_;  ///< By forward's thread.
  OperatorMarkListener& listener_;
};

namespace {

// LibTorch calls plain functions, so the active state must be reachable from everywhere.
std::mutex active_mutex;
std::shared_ptr<OperatorMarks::State> active_state;

std::shared_ptr<OperatorMarks::State> active() {
  const std::lock_guard lock(active_mutex);
  return active_state;
}

std::unique_ptr<at::ObserverContext> on_begin(const at::RecordFunction& function) {
  const auto state = active();
  return state ? state->begin(function) : nullptr;
}

void on_end(const at::RecordFunction&, at::ObserverContext* context) {
  if (context == nullptr) return;
  --depth;
  if (const auto state = active()) state->end(static_cast<const Mark&>(*context));
}

}  // namespace

OperatorMarks::OperatorMarks(const torch::jit::Module& top, OperatorMarkListener& listener)
    : state_(std::make_shared<State>(top, listener)) {
  {
    const std::lock_guard lock(active_mutex);
    if (active_state) throw_internal_error("Two listeners to operators at once.");
    active_state = state_;
  }
  callback_handle_ = at::addGlobalCallback(
      at::RecordFunctionCallback(&on_begin, &on_end)
          .scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION}));
}

OperatorMarks::~OperatorMarks() {
  at::removeCallback(callback_handle_);
  const std::lock_guard lock(active_mutex);
  active_state.reset();
}

std::vector<OperatorCall> OperatorMarks::calls() const {
  return state_->calls();
}

}  // namespace invact
