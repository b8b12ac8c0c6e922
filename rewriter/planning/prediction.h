// The prediction: what a model keeps once certain executions are replaced. Exact and pure: the same
// set arithmetic over storages by which the Report counts.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "analyzer/report.h"

namespace invact {

/// One run of a site in the observed step, and what it keeps once replaced.
struct Execution {
  std::vector<CallId> calls;           ///< Its operators that saved something: they no longer do.
  std::optional<StorageId> keeps;      ///< A storage that it keeps instead: its result's.
  int64_t bytes = 0;                   ///< What it keeps of its own.
  std::vector<StorageId> inputs = {};  ///< Storages that it keeps to run again in backward.
  /// Its result's, whose memory it gives back until backward, whoever keeps the tensor.
  std::optional<StorageId> releases = std::nullopt;
};

class Prediction {
 public:
  /// `report` must outlive the result. Nothing is replaced yet.
  explicit Prediction(const Report& report);

  int64_t saved_bytes() const { return bytes_; }

  // Each execution at most once at a time.
  void replace(const Execution& execution);
  void put_back(const Execution& execution);

  /// What replacing these adds, on top of what is replaced; negative frees.
  int64_t delta(const std::vector<Execution>& executions);

  /// Whether this call saved anything.
  bool saves(CallId call) const { return kept_by_.contains(call.value); }

  /// Calls that keep `storage`, none of them in `without`.
  std::vector<CallId> other_savers(StorageId storage, const std::vector<CallId>& without) const;

  /// Storages that `call` keeps.
  std::vector<StorageId> kept_by(CallId call) const;

 private:
  void add_keeper(StorageId storage);
  void remove_keeper(StorageId storage);
  void set_released(StorageId storage, int64_t change);
  bool counts(StorageId storage) const;

  const Report& report_;
  std::unordered_map<int64_t, std::vector<StorageId>> kept_by_;  ///< By call.
  std::unordered_map<int64_t, std::vector<CallId>> savers_;      ///< By storage.
  std::vector<int64_t> keepers_;   ///< How often each storage is kept.
  std::vector<int64_t> released_;  ///< How many replaced executions release it.
  int64_t bytes_ = 0;
};

}  // namespace invact
