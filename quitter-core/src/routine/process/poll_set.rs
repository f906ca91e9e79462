//! Waits for any of many pipes to become readable. On Linux, a wait on ten thousand pipes takes no longer
//! than one on ten.

#[cfg(target_os = "linux")]
pub(super) use epoll::PollSet;
#[cfg(not(target_os = "linux"))]
pub(super) use poll::PollSet;

#[cfg(target_os = "linux")]
mod epoll {
    use std::fs::File;
    use std::io;
    use std::sync::Arc;

    use rustix::buffer::spare_capacity;
    use rustix::event::epoll::{CreateFlags, EventData, EventFlags, add, create, delete, wait};
    use rustix::fd::OwnedFd;

    use super::super::os::Wakeup;

    /// The key of the wakeup. No pipe has it.
    const WAKEUP: u64 = 0;

    pub(in super::super) struct PollSet {
        files: OwnedFd,
        wakeup: Arc<Wakeup>,
    }

    impl PollSet {
        pub(in super::super) fn new(wakeup: Arc<Wakeup>) -> io::Result<Self> {
            let files = create(CreateFlags::CLOEXEC)?;
            add(&files, &*wakeup, EventData::new_u64(WAKEUP), EventFlags::IN)?;
            Ok(Self { files, wakeup })
        }

        /// From now on the waits tell by this key that the pipe can be read from. Keys begin with 1.
        pub(in super::super) fn add(&self, pipe: &Arc<File>, key: u64) -> io::Result<()> {
            let data = EventData::new_u64(key);
            Ok(add(&self.files, pipe, data, EventFlags::IN)?)
        }

        /// Closing the pipe would not be enough: a process that is being forked may have it open, too.
        pub(in super::super) fn remove(&self, pipe: &Arc<File>, _key: u64) {
            let _ = delete(&self.files, pipe);
        }

        /// Waits until a pipe is readable, or for the wakeup. Returns the keys of some of the readable
        /// pipes.
        pub(in super::super) fn wait(&self) -> Vec<u64> {
            const AT_A_TIME: usize = 256;
            let mut events = Vec::with_capacity(AT_A_TIME);
            // The wait has no timeout, so only a signal ends it early.
            let _ = wait(&self.files, spare_capacity(&mut events), None);
            let mut keys: Vec<_> = events.iter().map(|event| event.data.u64()).collect();
            keys.retain(|key| match *key {
                WAKEUP => {
                    self.wakeup.clear();
                    false
                }
                _ => true,
            });
            keys
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod poll {
    use std::collections::HashMap;
    use std::fs::File;
    use std::io;
    use std::sync::{Arc, Mutex};
    use std::task::Wake;
    use std::thread;
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, poll};

    use super::super::os::Wakeup;
    use crate::sync::lock_std;

    pub(in super::super) struct PollSet {
        files: Mutex<HashMap<u64, Arc<File>>>,
        wakeup: Arc<Wakeup>,
    }

    impl PollSet {
        pub(in super::super) fn new(wakeup: Arc<Wakeup>) -> io::Result<Self> {
            let files = Mutex::default();
            Ok(Self { files, wakeup })
        }

        /// From now on the waits tell by this key that the pipe can be read from. Keys begin with 1.
        pub(in super::super) fn add(&self, pipe: &Arc<File>, key: u64) -> io::Result<()> {
            lock_std(&self.files).insert(key, Arc::clone(pipe));
            self.wakeup.wake_by_ref();
            Ok(())
        }

        pub(in super::super) fn remove(&self, _pipe: &Arc<File>, key: u64) {
            lock_std(&self.files).remove(&key);
        }

        /// Waits until a pipe is readable, or for the wakeup. Returns the keys of the readable pipes.
        pub(in super::super) fn wait(&self) -> Vec<u64> {
            let files: Vec<_> = lock_std(&self.files).clone().into_iter().collect();
            let mut polled = vec![PollFd::new(&*self.wakeup, PollFlags::IN)];
            polled.extend(
                files
                    .iter()
                    .map(|(_, file)| PollFd::new(file, PollFlags::IN)),
            );
            let result = poll(&mut polled, None);
            self.wakeup.clear();
            let is_ready = |polled: &PollFd<'_>| match result {
                Ok(_) => !polled.revents().is_empty(),
                Err(_) => true,
            };
            if result.is_err() {
                // Out of memory, or the limit of descriptors was lowered: try each pipe, but do not spin.
                thread::sleep(Duration::from_millis(10));
            }
            let keys = files.iter().map(|(key, _)| *key).zip(&polled[1..]);
            keys.filter(|(_, polled)| is_ready(polled))
                .map(|(key, _)| key)
                .collect()
        }
    }
}
