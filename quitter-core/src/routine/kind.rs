//! The kinds of work that a routine can be, and the states of a live routine.

/// The kind of work that a routine is.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use std::time::Duration;
/// use quitter::{Quitter, RoutineKind};
///
/// let root = Quitter::root("main");
/// let _import = root.guard("import").unwrap();
/// let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
/// assert_eq!(timeouts.routines().next().unwrap().kind, RoutineKind::Guard);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RoutineKind {
    /// A thread. The body of `main` counts as one, too, unless it is async.
    Thread {
        /// The thread's number in the operating system, as `gettid` returns it on Linux and
        /// `GetCurrentThreadId` on Windows; 0 while the thread is being started, and once the routine has
        /// returned.
        os_id: u64,
    },
    /// A future. The body of an `async fn main` counts as one, too.
    Task,
    /// A child process.
    Process {
        /// The process's number in the operating system; 0 while the process is being started.
        pid: u32,
    },
    /// Work that other code started, tracked by a [`RoutineGuard`](crate::RoutineGuard).
    Guard,
}

/// The state of a live routine.
///
/// # Examples
///
/// ```
/// # use quitter_core as quitter;
/// use quitter::{Quitter, RoutineState};
///
/// let root = Quitter::root("main");
/// let _import = root.guard("import").unwrap();
/// let snapshot = root.snapshot();
/// assert_eq!(snapshot.routines().next().unwrap().state, RoutineState::Running);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RoutineState {
    /// Its thread is still being started by the system.
    Starting,
    /// It is running, or blocked in a call other than a wait for routines.
    Running,
    /// It waits for other routines, as in [`wait_done`](crate::Quitter::wait_done).
    Waiting,
    /// It has failed, but has not returned yet: it is in a panic hook, its values are being dropped, or its work
    /// goes on after [`RoutineGuard::fail`](crate::RoutineGuard::fail).
    Failed,
}

/// A [`RoutineKind`] without the numbers, which are known only later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Thread,
    Task,
    Guard,
    /// The body of `main`.
    Body,
    /// The body of an async `main`.
    #[cfg(feature = "tokio")]
    AsyncBody,
    #[cfg(feature = "process")]
    Process,
}

impl Work {
    /// Returns the kind of routine, given the system's number of its thread or process.
    pub(super) fn kind(self, os_id: u64) -> RoutineKind {
        match self {
            // A guard that runs its work on a thread counts as that thread.
            Self::Guard if os_id == 0 => RoutineKind::Guard,
            Self::Thread | Self::Guard | Self::Body => RoutineKind::Thread { os_id },
            #[cfg(feature = "process")]
            Self::Process => RoutineKind::Process {
                pid: u32::try_from(os_id).unwrap_or_default(),
            },
            Self::Task => RoutineKind::Task,
            #[cfg(feature = "tokio")]
            Self::AsyncBody => RoutineKind::Task,
        }
    }

    pub(super) fn is_body(self) -> bool {
        #[cfg(feature = "tokio")]
        if self == Self::AsyncBody {
            return true;
        }
        self == Self::Body
    }
}
