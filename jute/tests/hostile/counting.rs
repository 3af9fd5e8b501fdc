//! An allocator that knows how much a thread holds, for tests of what bytes from outside may cost.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts what this thread holds and the most that it has held.
struct Counting;

thread_local! {
    static HELD: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

fn held(change: impl Fn(usize) -> usize) {
    // Threads that are ending have no counter any more; nobody asks for theirs.
    let _ = HELD.try_with(|cell| {
        let (now, most) = cell.get();
        let now = change(now);
        cell.set((now, most.max(now)));
    });
}

// SAFETY: everything is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        held(|now| now.wrapping_add(layout.size()));
        System.alloc(layout)
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        held(|now| now.wrapping_sub(layout.size()));
        System.dealloc(memory, layout);
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The most bytes that `run` held at once.
pub fn memory_of(run: impl FnOnce()) -> usize {
    let (before, _) = HELD.get();
    HELD.set((before, before));
    run();
    HELD.get().1 - before
}
