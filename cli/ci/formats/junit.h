// JUnit XML, as GitLab and Jenkins read it: a gate is a test case. Pure.
#pragma once

#include <string>

#include "cli/ci/gates.h"

namespace invact {

/// One suite for the model, one case per gate; a failed one carries what explains it.
std::string junit_xml(const CiResult& result);

/// `text` as an element's content: escaped, and without what XML 1.0 forbids even escaped (control
/// characters).
std::string xml_content(const std::string& text);

/// The same as an attribute's value, where a parser would turn line breaks into spaces.
std::string xml_attribute(const std::string& text);

}  // namespace invact
