// Plans: calls of kernels, one after the other. Here they run on one thread, as most small programs
// do; runtime.c runs them on several.
#include <stdint.h>
#include <string.h>
#include <time.h>

typedef void (*kernel)(char **arrays, int64_t *bad, int thread, int threads);
enum { SHARED = 1, WAIT = 2, END = 4, FLOW = 8 };
typedef struct { int32_t kernel, flags, first, count; } call;
typedef struct {
  const kernel *kernels;
  const call *calls;
  const int32_t *slots;    // of each argument of each call: which array,
  const int64_t *offsets;  // and how many bytes from its start
  char **table;            // the arrays
  double *seconds;         // where to add up the time of each call, or NULL
  int64_t bad;
  void (*wait)(int threads);  // for loops in kernels, which are given the address of `bad`
  int64_t count, arguments, threads;
  // Seconds of a run by all threads, and of one by one thread (0: not known yet); of all runs since
  // the last trial of the slower way; whether one thread is to run it now; runs left of a trial.
  double took[2], since;
  int32_t alone, trial;
} plan;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

void run_alone(plan *p) {
  char *q[p->arguments];
  double before = p->seconds ? now() : 0;
  p->bad = 0;
  for (int64_t k = 0; k < p->count; k++) {
    const call c = p->calls[k];
    for (int32_t i = 0; i < c.count; i++) q[i] = p->table[p->slots[c.first + i]] + p->offsets[c.first + i];
    p->kernels[c.kernel](q, &p->bad, 0, 1);
    if (p->seconds) {
      double after = now();
      p->seconds[k] += after - before;
      before = after;
    }
  }
}

// Bytes of memory, and what they were; the last of several has the address NULL.
typedef struct { const char *at, *known; size_t size; } span;

// Whether all are as they were. One is read only if those before it are: they may point to it.
int unchanged(const span *s) {
  while (s->at && !memcmp(s->at, s->known, s->size)) s++;
  return !s->at;
}
