// The prediction: how many bytes a model saves once certain executions are replaced. Exact and
// pure: the same set arithmetic over storages by which the report counts.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "analyzer/report.h"
#include "rewriter/graph/observed_savers.h"

namespace invact {

/// One run of a site in the observed step, and what it saves once the site is replaced.
struct Execution {
  std::vector<CallId> calls;  ///< Those of its operators that saved; they no longer do.
  std::optional<StorageId> saved_storage;    ///< A storage that it saves instead: its result's.
  int64_t own_bytes = 0;                     ///< What it saves beside that, in storages of its own.
  std::vector<StorageId> saved_inputs = {};  ///< The storages that a segment saves to run again.
  /// The storage of a segment's result, whose memory is freed until backward although others saved
  /// the tensor.
  std::optional<StorageId> released_storage = std::nullopt;
};

class Prediction {
 public:
  /// `report` must outlive the result. Nothing is replaced yet.
  explicit Prediction(const Report& report);

  int64_t saved_bytes() const { return bytes_; }

  /// Who saves what in the observed step, whatever is replaced here.
  const ObservedSavers& observed() const { return observed_; }

  /// Counts `execution` as replaced; each at most once at a time.
  void replace(const Execution& execution);

  /// Undoes replace().
  void put_back(const Execution& execution);

  /// The bytes that replacing these adds to what is replaced already; negative: they are freed.
  int64_t delta(const std::vector<Execution>& executions);

 private:
  void add_saver(StorageId storage);
  void remove_saver(StorageId storage);
  void set_released(StorageId storage, int64_t change);
  bool counts(StorageId storage) const;

  const Report& report_;
  ObservedSavers observed_;
  std::vector<int64_t> saver_counts_;    ///< By storage: how often it is saved.
  std::vector<int64_t> release_counts_;  ///< By storage: how many replaced executions release it.
  int64_t bytes_ = 0;
};

}  // namespace invact
