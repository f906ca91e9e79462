//! Whether memory is left for a capture.
//!
//! Where memory is limited, as by `ulimit -v`, a failed allocation ends the process, and with it the report
//! that was to have the stacks. The libraries that read names allocate without asking, so this asks before
//! them.

use crate::system;

/// Enough to start a thread, to copy the stacks of 64 others, and to read the tables that unwind them.
const FOR_STACKS: u64 = 32 << 20;

/// How many times the size of a file it takes at most to read the names in it: the file is mapped, and half
/// as much again is computed from it.
const FOR_NAMES: u64 = 2;

/// What the allocator reserves for a new thread, if that is left: 64 MiB of addresses in glibc.
const FOR_THREAD: u64 = 66 << 20;

pub(super) fn is_left_for_stacks() -> bool {
    let thread_leaves_enough = || !is_left(FOR_THREAD) || is_left(FOR_THREAD + FOR_STACKS);
    is_left(FOR_STACKS) && thread_leaves_enough()
}

/// Whether the names in files of these sizes can be read.
pub(super) fn is_left_for_names(sizes: impl Iterator<Item = u64>) -> bool {
    let files = sizes.fold(0, u64::saturating_add);
    is_left(files.saturating_mul(FOR_NAMES).saturating_add(FOR_STACKS))
}

fn is_left(bytes: u64) -> bool {
    usize::try_from(bytes).is_ok_and(system::is_memory_left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_a_little_and_not_for_everything() {
        assert!(is_left_for_stacks() && is_left_for_names([1 << 20].into_iter()));
        assert!(!is_left(u64::MAX) && !is_left_for_names([u64::MAX; 2].into_iter()));
    }
}
