/* One action a tick: commit.hpp, seqlock.hpp, and the way tick_core.cpp and watchdog_core.cpp use
 * them, as a Promela model for the checker spin. Run by test_models.py.
 *
 * Two writers, each with its own ring of four slots, and one reader. Every step of the model is one
 * access to shared memory, and is named by the source line it stands for ("// file: line"; the test
 * checks that the line is still there). The clock may move on between any two steps, so that each
 * thread may be delayed anywhere for as long as it likes. Memory is sequentially consistent here:
 * the orders of the atomics are ThreadSanitizer's matter, not this model's.
 *
 * An action is two words: its tick, and `seq`, one more than that of the action it was made from.
 *
 * Wrong on purpose, to see the checker see it: -DCLAIM_FIRST, -DREUSE_SLOT, -DONE_ATTEMPT,
 * -DNO_VERSION_CHECK, -DNO_TICK_CHECK.
 */
#ifndef TICKS
#define TICKS 5 // the fifth commit of a writer takes its first slot again
#endif
#define SLOTS 4  // commit.hpp: inline constexpr uint32_t kSlotsPerRing = 4;
#define TICK_THREAD 0
#define WATCHDOG 1
#ifdef ONE_ATTEMPT
#define ATTEMPTS 1
#else
#define ATTEMPTS 2
#endif

typedef Slot {
  bit writing; /* the version is odd */
  byte tick;
  byte seq;
};

byte now = 1;          /* the tick that the clock stands in */
byte word_tick;        /* CommitArea::word; tick 0: nothing was committed yet */
byte word_slot;
Slot slots[2 * SLOTS]; /* CommitArea::slots */

/* A version counts to 2^64, and the reader only asks whether it is still the same. So the model
 * keeps whether it is odd, and whether it moved since the reader looked at it: as good, and finite. */
byte watched = 2 * SLOTS; /* the slot whose version the reader has loaded */
bit moved;

/* What nobody can read any more, since neither the word nor the reader names the slot, is forgotten
 * at once: fewer states, the same behaviour. */
byte loaded_slot = 2 * SLOTS; /* the reader's */
inline forget(which) {
  if
  :: which < 2 * SLOTS && which != word_slot && which != loaded_slot ->
     slots[which].tick = 0;
     slots[which].seq = 0
  :: else
  fi
}

/* What the properties are about; no thread of the real program has it. */
byte commits;     /* how many there were */
bit ran_in_time;  /* a writer was through with the tick of the clock, within that tick */

inline step_version(to) {
  d_step {
    slots[slot].writing = to;
    if
    :: slot == watched -> moved = 1
    :: else
    fi
  }
}

/* seqlock.hpp: write() */
inline fill_slot() {
  step_version(1);         // seqlock.hpp: version.store(v + 1, std::memory_order_relaxed);
  slots[slot].tick = tick; // seqlock.hpp: words[i].store(word, std::memory_order_release);
  slots[slot].seq = seq;   // seqlock.hpp: words[i].store(word, std::memory_order_release);
  step_version(0)          // seqlock.hpp: version.store(v + 2, std::memory_order_release);
}

inline swap_word() {
  d_step {
    // commit.hpp: if (!area_.word.compare_exchange_strong(expected, pack_word(action.tick, slot),
    won = (word_tick == expected_tick && word_slot == expected_slot);
    if
    :: won ->
       assert(word_tick < tick);   /* the word never goes back: at most one commit a tick */
       assert(tick <= now);        /* none for a tick that is still to come */
       assert(seq == commits + 1); /* made from the very action that it replaces */
       word_tick = tick;
       word_slot = slot;
       forget(expected_slot);
       commits = commits + 1;
#ifndef REUSE_SLOT
       cursor = (cursor + 1) % SLOTS // commit.hpp: cursor_ = (cursor_ + 1) % kSlotsPerRing;
#endif
    :: else -> forget(slot)
    fi
  }
}

proctype writer(byte me) {
  byte done, tick, seq, expected_tick, expected_slot, slot, cursor;
  byte left; /* attempts */
  bit won;

  do
  :: atomic {
       // threads.cpp: const int64_t target = sleep_until_watch(parts, loop, grid, tick, offset);
       now > done;
       if
       :: now > TICKS -> break
       :: else
       fi;
       // cadence.hpp: return next > done ? next : done + 1;
       // threads.cpp: const uint64_t tick = std::max(handled + 1, grid.due(clock.now_ns() - offset));
       tick = now; /* it leaves out whole ticks by being delayed before this step */
       left = ATTEMPTS
     }
attempt:
     atomic {
       /* One step for all of read_committed(): the reader below shows that what it returns is the
        * action that was committed with the word that it loaded. */
       // commit.hpp: const uint64_t word = area.word.load(std::memory_order_acquire);
       expected_tick = word_tick;
       expected_slot = word_slot;
       seq = commits + 1;
       slot = me * SLOTS + cursor;
       left = left - 1;
       if
       // commit.hpp: if (tick_of(expected) >= action.tick) return false;
       :: expected_tick >= tick -> goto settled
       :: else
       fi
     }
     if
     // tick_core.cpp: if (action_.stamp_ns >= due_ns_ + grid_.period_ns) {
     // watchdog_core.cpp: if (action_.stamp_ns >= action_.scheduled_ns + grid_.period_ns) return false;
     :: now > tick -> goto settled
     :: now == tick
     fi;
#ifdef CLAIM_FIRST
     swap_word();
     if
     :: won -> fill_slot()
     :: else
     fi;
#else
     fill_slot();
     swap_word();
#endif
     if
     // tick_core.cpp: if (attempt() || (part_.reason == Reason::kNone && attempt())) return true;
     :: !won && left > 0 -> goto attempt
     :: else
     fi;
settled:
     atomic {
       ran_in_time = ran_in_time || now == tick;
       done = tick;
       tick = 0; left = 0; expected_tick = 0; expected_slot = 0; seq = 0; slot = 0; won = 0
     }
  od
}

proctype clock() {
  do
  :: now <= TICKS ->
     atomic {
       /* At the end of a tick in which a writer ran in time there is an action for it. */
       assert(!ran_in_time || word_tick == now);
       ran_in_time = 0;
       now = now + 1
     }
  :: now > TICKS -> break
  od
}

/* The slot was taken from under the reader: that takes three more commits, all of one writer. */
inline slot_was_reused() {
  assert(commits - loaded_seq >= SLOTS - 1);
  goto again
}

/* commit.hpp: read_committed(), again and again: egress, and whoever looks at the file. */
proctype reader() {
  byte loaded_tick, loaded_seq, tick, seq, left_slot;
again:
end:
  atomic {
    // commit.hpp: const uint64_t word = area.word.load(std::memory_order_acquire);
    word_tick != 0;
    left_slot = loaded_slot;
    loaded_slot = word_slot;
    if
    :: left_slot < 2 * SLOTS && slots[left_slot].tick == loaded_tick -> forget(left_slot)
    :: else
    fi;
    loaded_tick = word_tick;
    loaded_seq = commits;
    watched = 2 * SLOTS; tick = 0; seq = 0; left_slot = 0
  }
  atomic {
    // seqlock.hpp: const uint64_t before = version.load(std::memory_order_acquire);
    watched = loaded_slot;
    moved = 0;
    if
    // seqlock.hpp: if ((before & 1) != 0) return false;
    :: slots[loaded_slot].writing -> slot_was_reused()
    :: else
    fi
  }
  tick = slots[loaded_slot].tick; // seqlock.hpp: const uint64_t word = words[i].load(std::memory_order_acquire);
  seq = slots[loaded_slot].seq;   // seqlock.hpp: const uint64_t word = words[i].load(std::memory_order_acquire);
  atomic {
#ifndef NO_VERSION_CHECK
    if
    // seqlock.hpp: return version.load(std::memory_order_relaxed) == before;
    :: moved -> slot_was_reused()
    :: else
    fi;
#endif
#ifndef NO_TICK_CHECK
    if
    // commit.hpp: if (area.slots[slot_of(word)].read(out, action_bytes(count)) && out.tick == tick_of(word)) {
    :: tick != loaded_tick -> slot_was_reused()
    :: else
    fi;
#endif
    /* The action is whole, and the one that was committed with the word that was loaded. */
    assert(tick == loaded_tick && seq == loaded_seq);
    goto again
  }
}

init {
  atomic {
    run writer(TICK_THREAD);
    run writer(WATCHDOG);
    run reader();
    run clock()
  }
}
