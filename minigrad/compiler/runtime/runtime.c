// Runs plans on several threads; what it shares with plans.h, which comes before it, is there.
//
// All threads go through all calls. Calls marked SHARED are divided between them; the first thread
// runs the others. At calls marked WAIT all threads wait for each other.
//
// One thread can also do the parts of all, one after the other, with the same bits as result. Runs
// are timed, and done in the way that takes less time: little work is not worth waiting for each
// other, and on a busy machine a thread may wait long for one that has no core.
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

static atomic_int arrived, phase;

static inline void pause_a_little(int round) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
  if (round > 500) sched_yield();  // perhaps another program has the core
}

static void wait_for_all(int T) {
  int now = atomic_load_explicit(&phase, memory_order_relaxed);
  if (atomic_fetch_add(&arrived, 1) == T - 1) {
    atomic_store_explicit(&arrived, 0, memory_order_relaxed);
    atomic_store_explicit(&phase, now + 1, memory_order_release);
  } else {
    for (int k = 0; atomic_load_explicit(&phase, memory_order_acquire) == now; k++) pause_a_little(k);
  }
}

// What thread t of T does; with a negative T, thread 0 does the parts of all.
static void work(plan *p, int t, int T) {
  const int parts = T < 0 ? -T : T;
  char *q[p->arguments];
  double before = p->seconds && !t ? now() : 0;
  for (int64_t k = 0; k < p->count; k++) {
    const call c = p->calls[k];
    if (T > 1 && c.flags & WAIT) wait_for_all(T);
    if (!t || c.flags & SHARED) {
      for (int32_t i = 0; i < c.count; i++) q[i] = p->table[p->slots[c.first + i]] + p->offsets[c.first + i];
      const kernel run = p->kernels[c.kernel];
      if (!(c.flags & SHARED)) run(q, &p->bad, 0, c.flags & END ? parts : 1);
      else if (T > 0 || c.flags & FLOW) run(q, &p->bad, t, T);  // with a negative T, its calls do all
      else for (int part = 0; part < parts; part++) run(q, &p->bad, part, parts);
    }
    if (p->seconds && !t) {
      double after = now();
      p->seconds[k] += after - before;
      before = after;
    }
  }
  if (T > 1) wait_for_all(T);
}

// The worker threads: they spin for a while, then sleep.
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t door = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t bell = PTHREAD_COND_INITIALIZER;
static plan *job;
static int started, watched;
static atomic_int turn, asleep;

static void *stand_by(void *argument) {
  int t = (int)(intptr_t)argument, seen = 0;
  for (;;) {
    int k = 0;
    while (atomic_load_explicit(&turn, memory_order_acquire) == seen && k < 20000) pause_a_little(k++ / 64);
    if (atomic_load(&turn) == seen) {
      pthread_mutex_lock(&door);
      atomic_fetch_add(&asleep, 1);
      while (atomic_load(&turn) == seen) pthread_cond_wait(&bell, &door);
      atomic_fetch_sub(&asleep, 1);
      pthread_mutex_unlock(&door);
    }
    seen++;
    work(job, t, (int)job->threads);
  }
  return 0;
}

// A forked process has no worker threads.
static void forget(void) {
  started = 0;
  atomic_store(&turn, 0);
  atomic_store(&asleep, 0);
  atomic_store(&arrived, 0);
  pthread_mutex_init(&one_at_a_time, 0);
  pthread_mutex_init(&door, 0);
  pthread_cond_init(&bell, 0);
}

// Workers are started together, and take part in every job that has more than one thread.
static int threads_for(int T) {
  if (!watched) pthread_atfork(0, 0, forget);
  watched = 1;
  for (; started < T - 1; started++) {
    pthread_t thread;
    if (atomic_load(&turn) || pthread_create(&thread, 0, stand_by, (void *)(intptr_t)(started + 1))) break;
    pthread_detach(thread);
  }
  return started + 1;
}

static void by_all(plan *p) {
  pthread_mutex_lock(&one_at_a_time);
  p->threads = threads_for((int)p->threads);
  job = p;
  atomic_fetch_add(&turn, 1);
  if (atomic_load(&asleep)) {
    pthread_mutex_lock(&door);
    pthread_cond_broadcast(&bell);
    pthread_mutex_unlock(&door);
  }
  work(p, 0, (int)p->threads);
  pthread_mutex_unlock(&one_at_a_time);
}

// Long runs are always shared. Of others, two in a row are done in the slower way each time that the
// runs since have taken a hundred times as long: two, as the first may have to wake other threads.
static const double LONG = 0.02, SELDOM = 100;

static void choose(plan *p) {
  const int quick = p->took[0] < LONG;
  p->alone = quick && p->took[1] < p->took[0];
  const int slower = !p->alone;
  if (quick && p->since > SELDOM * p->took[slower]) {
    p->alone = slower;
    p->took[slower] = p->since = 0;
  }
  if (p->took[p->alone] == 0) p->trial = 2;
}

void run(plan *p) {
  p->bad = 0;
  p->wait = wait_for_all;
  if (!p->trial) choose(p);
  const double before = now();
  if (p->alone) work(p, 0, (int)-p->threads);
  else by_all(p);
  const double seconds = now() - before;
  double *took = &p->took[p->alone];
  if (p->trial) {
    p->trial--;
    *took = seconds;
  } else {  // a mean of the last runs, to which one that was held up adds little
    *took += 0.3 * ((seconds < 2 * *took ? seconds : 2 * *took) - *took);
  }
  p->since += seconds;
}
