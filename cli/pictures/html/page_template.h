// The HTML report without its data: the files of this folder, put together by
// cmake/embed_page.cmake.
#pragma once

namespace invact {

/// Where the data belong stands "@INVACT_DATA@", once.
extern const char* const kPageTemplate;

}  // namespace invact
