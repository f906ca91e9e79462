//! Keeps many threads that quit together from ending all at once.
//!
//! A routine is done before its thread is gone. Tearing a thread down costs the system as much as waking
//! ten, and uses the CPUs that the other threads need to wake up and return. So a thread lingers for a
//! moment if many others are live and waited for: about as long as they need. This delays nobody. But the
//! thread's thread-locals live that much longer, which is why a thread does not linger if there are only
//! few others.

use std::thread;
use std::time::Duration;

/// The number of other routines that makes a crowd.
const CROWD: usize = 32;

/// Called by a thread that is about to end, with the number of others that are live and waited for.
pub(super) fn in_a_crowd(others: usize) {
    /// Several times as long as the system takes to wake a thread and have it return. Were it shorter, the
    /// first threads would be torn down before the last have returned.
    const FOR_EACH: Duration = Duration::from_micros(100);
    /// The time for ten thousand threads.
    const AT_MOST: Duration = Duration::from_secs(1);
    if others >= CROWD {
        let others = u32::try_from(others).unwrap_or(u32::MAX);
        thread::sleep(FOR_EACH.saturating_mul(others).min(AT_MOST));
    }
}
