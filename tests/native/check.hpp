// A test is a function with a sentence for a name; a failed CHECK is printed and makes the run
// fail.
#pragma once

#include <cstdio>
#include <vector>

namespace check {

struct Test {
  const char* sentence;
  void (*body)();
};

inline std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

inline int& failures() {
  static int count = 0;
  return count;
}

struct Registration {
  Registration(const char* sentence, void (*body)()) { tests().push_back({sentence, body}); }
};

inline void fail(const char* file, int line, const char* what) {
  if (++failures() <= 20) std::printf("%s:%d: not so: %s\n", file, line, what);
}

inline int run() {
  for (const Test& test : tests()) {
    const int before = failures();
    test.body();
    std::printf("%s: %s\n", failures() == before ? "ok" : "FAILED", test.sentence);
  }
  std::printf("%zu tests, %d failed checks\n", tests().size(), failures());
  return failures() == 0 ? 0 : 1;
}

}  // namespace check

#define CHECK_JOIN2(a, b) a##b
#define CHECK_JOIN(a, b) CHECK_JOIN2(a, b)
#define TEST(sentence)                                                \
  static void CHECK_JOIN(test_body_, __LINE__)();                     \
  static const check::Registration CHECK_JOIN(test_entry_, __LINE__)( \
      sentence, CHECK_JOIN(test_body_, __LINE__));                    \
  static void CHECK_JOIN(test_body_, __LINE__)()
#define CHECK(condition)                                           \
  do {                                                             \
    if (!(condition)) check::fail(__FILE__, __LINE__, #condition); \
  } while (false)
