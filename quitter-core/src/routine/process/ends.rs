//! The ends of processes, which Linux reports through one descriptor: an epoll of pidfds. Waiting costs the
//! same for ten processes as for ten thousand.

use std::io;

use rustix::fd::OwnedFd;
use rustix::process::Pid;

#[cfg(target_os = "linux")]
pub(super) struct Ends(OwnedFd);

#[cfg(target_os = "linux")]
impl Ends {
    pub(super) fn new() -> io::Result<Self> {
        use rustix::event::epoll::{CreateFlags, create};
        Ok(Self(create(CreateFlags::CLOEXEC)?))
    }

    /// Has the end of a process reported under this key, once, while the returned descriptor is open.
    /// `None`: there is no pidfd for it.
    pub(super) fn watch(&self, pid: Pid, key: u64) -> Option<OwnedFd> {
        use rustix::event::epoll::{EventData, EventFlags, add};
        use rustix::process::{PidfdFlags, pidfd_open};
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        // Once, since the pidfd stays readable, and its owner may have to wait for others before closing
        // it.
        let once = EventFlags::IN | EventFlags::ONESHOT;
        add(&self.0, &pidfd, EventData::new_u64(key), once).ok()?;
        Some(pidfd)
    }

    /// Takes the keys of processes that have ended since the last call. If there are more than one call
    /// takes, the descriptor stays readable.
    pub(super) fn take(&self) -> Vec<u64> {
        use rustix::buffer::spare_capacity;
        use rustix::event::{Timespec, epoll::wait};
        const AT_A_TIME: usize = 256;
        let mut events = Vec::with_capacity(AT_A_TIME);
        let now = Timespec::default();
        let _ = wait(&self.0, spare_capacity(&mut events), Some(&now));
        events.iter().map(|event| event.data.u64()).collect()
    }

    /// Readable when some process has ended.
    pub(super) fn descriptor(&self) -> Option<&OwnedFd> {
        Some(&self.0)
    }
}

/// There are no pidfds.
#[cfg(not(target_os = "linux"))]
pub(super) struct Ends(());

#[cfg(not(target_os = "linux"))]
impl Ends {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(()))
    }

    pub(super) fn watch(&self, _: Pid, _: u64) -> Option<OwnedFd> {
        None
    }

    pub(super) fn take(&self) -> Vec<u64> {
        Vec::new()
    }

    pub(super) fn descriptor(&self) -> Option<&OwnedFd> {
        None
    }
}
