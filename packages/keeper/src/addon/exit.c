// Ends a process with an exit code and waits for none of its threads: `process.dlopen({ exports: { code } }, PATH)`.
// Node itself waits at its exit for threads that a disk keeps. No libc: one file serves glibc and musl.
#include <stdint.h>

typedef struct napi_env__ *napi_env;
typedef struct napi_value__ *napi_value;
extern int napi_get_named_property(napi_env, napi_value, const char *, napi_value *);
extern int napi_get_value_int32(napi_env, napi_value, int32_t *);

static void exit_group(long code) {
#if defined(__x86_64__)
  __asm__ volatile("syscall" : : "a"(231L), "D"(code) : "rcx", "r11", "memory");
#elif defined(__aarch64__)
  register long number __asm__("x8") = 94, first __asm__("x0") = code;
  __asm__ volatile("svc 0" : : "r"(number), "r"(first) : "memory");
#else
#error "no exit for this machine"
#endif
}

__attribute__((visibility("default"))) napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  napi_value value;
  int32_t code = 0;
  if (napi_get_named_property(env, exports, "code", &value) == 0 && napi_get_value_int32(env, value, &code) == 0)
    exit_group(code);
  return exports;
}
