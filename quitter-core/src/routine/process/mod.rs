//! Child processes as routines.
//!
//! One thread, the reaper, waits for all of them, tells them to stop, kills those that do not, and reaps
//! them. These invariants hold:
//!
//! 1. **A process or group is signalled only while its number is its own**, which is as long as the process
//!    that was started is not reaped. Only the reaper reaps. Other threads that send signals hold the
//!    process's slot meanwhile, and the reaper empties the slot before it reaps (`groups.rs`).
//! 2. **The end of this process kills what is left**, without waiting for any lock: the forced end does so,
//!    and a handler that runs when the process exits (`groups.rs`).
//! 3. **Children of other code are not waited for**, except orphans, on request (`orphans.rs`).
//! 4. **The reaper writes nothing, and runs no user code** except the wakers of futures, as every quit
//!    does. Another thread handles the output (`readers.rs`).

mod adopt;
mod builder;
mod error;
mod failure;
mod handle;
mod orphans;
mod output;
mod proc;
mod reaper;
mod supervised;

#[cfg(all(unix, not(any(target_os = "openbsd", target_os = "redox"))))]
mod ends;
#[cfg(all(unix, not(any(target_os = "openbsd", target_os = "redox"))))]
mod groups;
#[cfg(all(unix, not(any(target_os = "openbsd", target_os = "redox"))))]
#[path = "unix.rs"]
mod os;
#[cfg(not(all(unix, not(any(target_os = "openbsd", target_os = "redox")))))]
#[path = "elsewhere.rs"]
mod os;
#[cfg(all(unix, not(any(target_os = "openbsd", target_os = "redox"))))]
mod poll_set;
#[cfg(all(unix, not(any(target_os = "openbsd", target_os = "redox"))))]
mod readers;

pub(super) use builder::ProcessOptions;
pub use error::AddProcessError;
pub use failure::ProcessFailure;
pub use handle::{EndedBy, ProcessEnd, ProcessEnded, ProcessHandle};
pub(crate) use os::{kill_all, listed};
pub use output::ProcessOutput;
pub(crate) use reaper::Reaper;
