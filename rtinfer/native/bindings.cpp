// Everything Python sees of the native core, and nothing else.
#include <nanobind/nanobind.h>

NB_MODULE(_native, m) {
  m.doc() = "rtinfer's real-time core";
}
