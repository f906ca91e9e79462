//! Child processes as routines.
//!
//! One thread, the reaper, waits for all of them, tells them to stop, kills those that do not, and
//! reaps them. These hold:
//!
//! 1. **A process or group is signalled only while its number is its own**, which is as long as the
//!    process that was started is not reaped. The reaper alone reaps. Others, who signal beside it,
//!    hold the process's slot meanwhile, and the reaper takes it out of there first (`groups.rs`).
//! 2. **Whoever ends this process kills what is left**, without waiting for any lock: the forced end,
//!    and a handler that runs when the process exits (`groups.rs`).
//! 3. **Nobody else's children are waited for**, but for orphans, when that is asked for
//!    (`orphans.rs`).
//! 4. **The reaper writes nothing, and runs no code of the user's** but the wakers of futures, as every
//!    quit does. Output is another thread's affair (`readers.rs`).

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
