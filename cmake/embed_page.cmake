# Makes one C++ string of the HTML report's source files:
#   cmake -DPAGE=report.html -DSTYLE=report.css "-DSCRIPTS=a.js;b.js" -DOUTPUT=page_template.cpp -P embed_page.cmake
cmake_minimum_required(VERSION 3.25)

file(READ "${PAGE}" page)
file(READ "${STYLE}" style)
set(script "")
foreach(file IN LISTS SCRIPTS)
  file(READ "${file}" text)
  string(APPEND script "${text}")
endforeach()

string(REPLACE "@INVACT_STYLE@" "${style}" page "${page}")
string(REPLACE "@INVACT_SCRIPT@" "${script}" page "${page}")
string(FIND "${page}" ")invact\"" end)
if(NOT end EQUAL -1)
  message(FATAL_ERROR "The page contains what ends the raw string that is made of it.")
endif()
file(WRITE "${OUTPUT}" "#include \"cli/pictures/html/page_template.h\"\n\n"
  "namespace invact {\n\nconst char* const kPageTemplate = R\"invact(${page})invact\";\n\n}  // namespace invact\n")
