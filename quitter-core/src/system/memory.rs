//! Asks the system whether it would give out memory.
#![allow(dead_code, reason = "not all Linux systems have stacks")]

use std::ptr;

/// Whether this many bytes can be allocated right now. Bypasses the allocator, which may treat the program's
/// blocks in another way once it has seen a large one.
pub(crate) fn is_left(bytes: usize) -> bool {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: without MAP_FIXED, mmap(2) creates a new mapping, and changes no other memory.
    let room = unsafe { libc::mmap(ptr::null_mut(), bytes, access, kind, -1, 0) };
    if room == libc::MAP_FAILED {
        return false;
    }
    // SAFETY: this is the whole mapping that was just created, and nothing refers to it.
    unsafe { libc::munmap(room, bytes) };
    true
}
