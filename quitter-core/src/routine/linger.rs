//! Threads of a crowd that quits do not end all at once.
//!
//! A routine is done before its thread is gone. For the system, to take a thread apart costs as much
//! as to wake ten, and it does so on the processors that the rest of the crowd needs to wake up and
//! return. So a thread stays for a moment where many others are live and waited for: about as long as
//! they need. It holds nobody up. Its thread-local values live as much longer, which is why few threads
//! do not linger.

use std::thread;
use std::time::Duration;

/// So many others make a crowd.
const CROWD: usize = 32;

/// Called by a thread that is about to end, when so many others are live and waited for.
pub(super) fn in_a_crowd(others: usize) {
    /// Several times as long as the system takes to wake a thread and have it return. If it were less,
    /// the first would be taken apart before the last have returned.
    const FOR_EACH: Duration = Duration::from_micros(100);
    /// For ten thousand.
    const AT_MOST: Duration = Duration::from_secs(1);
    if others >= CROWD {
        let others = u32::try_from(others).unwrap_or(u32::MAX);
        thread::sleep(FOR_EACH.saturating_mul(others).min(AT_MOST));
    }
}
