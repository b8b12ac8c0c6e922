// make_page REPORT.json [REWRITTEN.json] > page.html: the HTML report of documents that a test made
// up. REWRITTEN.json has the members of RewrittenPart.
#include <fstream>
#include <iostream>

#include "cli/pictures/html/page.h"

namespace {

nlohmann::ordered_json read_json(const char* path) {
  std::ifstream file(path);
  return nlohmann::ordered_json::parse(file);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::cerr << "usage: make_page REPORT.json [REWRITTEN.json]\n";
    return 2;
  }
  auto report = read_json(argv[1]);
  if (argc == 2) {
    std::cout << invact::html_page(std::move(report));
  } else {
    const auto part = read_json(argv[2]);
    std::cout << invact::html_page(std::move(report),
                                   {part.at("after"), part.at("verification"), part.at("output")});
  }
  return std::cout.flush() ? 0 : 1;
}
