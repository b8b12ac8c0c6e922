// Modules as a tree with bars.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

#include "cli/render/render.h"
#include "cli/render/text.h"
#include "cli/text/size.h"

namespace invact {
namespace {

struct Node {
  std::string name;
  std::string type;
  int64_t own_bytes = 0;
  int64_t total_bytes = 0;
  std::vector<std::unique_ptr<Node>> children;  ///< Bytes descending, then name.
  size_t shown_children = 0;                    ///< The first of them; the others are folded.
};

struct Branch {
  const char* middle;
  const char* last;
  const char* through;
};
constexpr Branch kUnicodeBranch = {"├ ", "└ ", "│ "};
constexpr Branch kAsciiBranch = {"|-", "`-", "| "};

Node& find_or_add_child(Node& node, const std::string& name) {
  for (const auto& child : node.children) {
    if (child->name == name) return *child;
  }
  node.children.push_back(std::make_unique<Node>());
  node.children.back()->name = name;
  return *node.children.back();
}

Node& find_or_add(Node& root, const std::string& path) {
  Node* node = &root;
  for (size_t begin = 0; begin < path.size();) {
    const size_t end = std::min(path.find('.', begin), path.size());
    node = &find_or_add_child(*node, path.substr(begin, end - begin));
    begin = end + 1;
  }
  return *node;
}

/// Sums and sorts; "encoder" and its only child "layers" become one step.
void finish(Node& node, bool is_root) {
  node.total_bytes = node.own_bytes;
  for (const auto& child : node.children) {
    finish(*child, false);
    node.total_bytes += child->total_bytes;
  }
  std::sort(node.children.begin(), node.children.end(), [](const auto& a, const auto& b) {
    return a->total_bytes != b->total_bytes ? a->total_bytes > b->total_bytes : a->name < b->name;
  });
  if (!is_root && node.own_bytes == 0 && node.children.size() == 1) {
    const std::unique_ptr<Node> child = std::move(node.children.front());
    node.name += "." + child->name;
    node.type = child->type;
    node.own_bytes = child->own_bytes;
    node.children = std::move(child->children);
  }
}

std::unique_ptr<Node> build_tree(const Report& report) {
  auto root = std::make_unique<Node>();
  root->name = "(top)";
  for (const ModuleRow& row : report.modules) {
    Node& node = find_or_add(*root, row.path);
    node.own_bytes = row.saved_bytes;
    node.type = row.type.substr(row.type.rfind('.') + 1);
  }
  if (report.totals.unattributed_bytes > 0) {
    find_or_add_child(*root, "(unattributed)").own_bytes = report.totals.unattributed_bytes;
  }
  finish(*root, true);
  return root;
}

size_t rows_when_unfolded(const Node& node, size_t most) {
  const size_t shown = std::min(node.children.size(), most);
  return shown + (shown < node.children.size() ? 1 : 0);
}

/// Unfolds the largest folded node again and again while its children fit into `rows`.
void unfold(Node& root, size_t rows, size_t most_children) {
  std::vector<Node*> folded = {&root};
  const auto smaller = [](const Node* a, const Node* b) { return a->total_bytes < b->total_bytes; };
  while (!folded.empty()) {
    std::pop_heap(folded.begin(), folded.end(), smaller);
    Node& node = *folded.back();
    folded.pop_back();
    const size_t needed = rows_when_unfolded(node, most_children);
    if (needed > rows) continue;
    rows -= needed;
    node.shown_children = std::min(node.children.size(), most_children);
    for (size_t i = 0; i < node.shown_children; ++i) {
      folded.push_back(node.children[i].get());
      std::push_heap(folded.begin(), folded.end(), smaller);
    }
  }
}

size_t count_below(const Node& node) {
  size_t count = node.children.size();
  for (const auto& child : node.children) count += count_below(*child);
  return count;
}

class TreeText {
 public:
  TreeText(const RenderOptions& options, int64_t whole)
      : options_(options),
        branch_(options.canvas.unicode ? kUnicodeBranch : kAsciiBranch),
        whole_(whole),
        bar_width_(std::clamp<int64_t>((options.canvas.width - 60) / 2, 8, 32)) {}

  void add(const Node& node, const std::string& lead, const std::string& below) {
    const bool folded = node.shown_children == 0 && !node.children.empty();
    std::string note = node.type.empty() ? "" : fmt::format(" ({})", node.type);
    if (folded) note += fmt::format(" +{} below", count_below(node));
    add_line(node.total_bytes, node.own_bytes, lead, node.name, note);
    if (node.shown_children == 0) return;
    const bool all = node.shown_children == node.children.size();
    for (size_t i = 0; i < node.shown_children; ++i) {
      const bool last = all && i + 1 == node.shown_children;
      add(*node.children[i], below + (last ? branch_.last : branch_.middle),
          below + (last ? "  " : branch_.through));
    }
    if (!all) add_rest(node, below);
  }

  const std::string& text() const { return text_; }

 private:
  void add_rest(const Node& node, const std::string& below) {
    int64_t bytes = 0;
    for (size_t i = node.shown_children; i < node.children.size(); ++i) {
      bytes += node.children[i]->total_bytes;
    }
    add_line(bytes, 0, below + branch_.last, "",
             fmt::format("({} more)", node.children.size() - node.shown_children));
  }

  void add_line(int64_t total_bytes, int64_t own_bytes, const std::string& lead,
                const std::string& name, const std::string& note) {
    constexpr int64_t kNumberColumns = 28;
    const int64_t used = kNumberColumns + bar_width_ + display_width(lead) + display_width(note);
    text_ += fmt::format("  {:>10}  {:>10}  {}  {}{}{}{}{}\n", format_bytes(total_bytes),
                         own_bytes > 0 ? format_bytes(own_bytes) : "",
                         bar_text(total_bytes, whole_, bar_width_, options_.canvas), lead,
                         shorten(name, options_.canvas.width - used, options_.canvas),
                         options_.style.dim, note, options_.style.reset);
  }

  const RenderOptions& options_;
  const Branch branch_;
  int64_t whole_;
  int64_t bar_width_;
  std::string text_;
};

}  // namespace

std::string render_module_tree(const Report& report, const RenderOptions& options) {
  const auto root = build_tree(report);
  const size_t top = static_cast<size_t>(options.top);
  constexpr size_t kNoLimit = SIZE_MAX;
  unfold(*root, options.details ? kNoLimit : std::max<size_t>(2 * top, top + 1),
         options.details ? kNoLimit : top);
  TreeText tree(options, root->total_bytes);
  tree.add(*root, "", "");
  return heading("BY MODULE (with children, own bytes)", options.style) + tree.text();
}

}  // namespace invact
