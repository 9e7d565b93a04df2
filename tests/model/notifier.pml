/* The wake-up of egress: notifier.hpp, and the way threads.cpp and egress.cpp use it, as a Promela
 * model for the checker spin. Run by test_models.py.
 *
 * Two threads commit and notify; egress forwards what is new, and sleeps on the futex when there is
 * nothing. Its sleep has no end here (the real one lasts 50 ms at most), so that a lost wake-up is a
 * state in which nobody can go on while an action waits: spin reports it as an invalid end state.
 * Steps are named by the source lines they stand for, as in commit.pml.
 *
 * Wrong on purpose: -DLOOK_BEFORE_COUNTING, -DCOUNT_AFTER_LOOKING, -DNO_SLEEPING_FLAG.
 * Right all the same: -DCHECK_BEFORE_SLEEPING_FLAG, since the kernel compares once more.
 */
#ifndef COMMITS
#define COMMITS 3 /* of each thread */
#endif

byte word;     /* counts commits: CommitArea::word only ever moves on */
byte count;    /* Notifier::count_ */
bit sleeping;  /* Notifier::sleeping_ */
bit asleep;    /* egress is in the kernel's queue of the futex */
byte sent;     /* the last word that egress forwarded */

inline wake() {
  // notifier.hpp: syscall(SYS_futex, futex_word(), FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
  asleep = 0
}

proctype notifier() {
  byte left = COMMITS;
  bit awaited;
  do
  :: left > 0 ->
     // commit.hpp: if (!area_.word.compare_exchange_strong(expected, pack_word(action.tick, slot),
     word = word + 1;
#ifdef LOOK_BEFORE_COUNTING
     awaited = sleeping;
     count = count + 1;
#else
     count = count + 1;  // notifier.hpp: count_.fetch_add(1, std::memory_order_seq_cst);
     awaited = sleeping; // notifier.hpp: if (sleeping_.load(std::memory_order_seq_cst) != 0) {
#endif
     if
     :: awaited -> wake()
     :: else
     fi;
     left = left - 1
  :: left == 0 -> break
  od
}

proctype egress() {
  byte seen, found;
  bit same;
  do
  :: sent == 2 * COMMITS -> break
  :: else ->
#ifndef COUNT_AFTER_LOOKING
     seen = count;  // egress.cpp: const uint32_t seen = parts_.committed.count();
#endif
     found = word;  // egress.cpp: const uint64_t word = file.commits.word.load(std::memory_order_acquire);
#ifdef COUNT_AFTER_LOOKING
     seen = count;
#endif
     if
     :: found > sent -> sent = found // egress.cpp: if (any) continue;
     :: found <= sent ->
        // egress.cpp: parts_.committed.wait(seen, now + kIdle_ns);
#ifdef CHECK_BEFORE_SLEEPING_FLAG
        same = (count == seen);
        sleeping = 1;
#else
#ifndef NO_SLEEPING_FLAG
        sleeping = 1;           // notifier.hpp: sleeping_.store(1, std::memory_order_seq_cst);
#endif
        same = (count == seen); // notifier.hpp: if (count_.load(std::memory_order_seq_cst) == seen) {
#endif
        if
        :: same ->
           /* The kernel compares and queues in one step. */
           // notifier.hpp: syscall(SYS_futex, futex_word(), FUTEX_WAIT_BITSET_PRIVATE, seen, &until, nullptr,
           asleep = (count == seen);
           !asleep
        :: else
        fi;
        sleeping = 0 // notifier.hpp: sleeping_.store(0,
     fi
  od
}

init {
  atomic {
    run notifier();
    run notifier();
    run egress()
  }
}
