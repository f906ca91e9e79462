//! A descriptor that becomes readable when a quitter quits, and stays readable.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// The end that is polled.
pub(crate) struct QuitDescriptor(Shared);

/// The end that the tree keeps until the quit. Dropping it makes the other end readable.
pub(crate) struct QuitTrigger(Raise);

impl AsFd for QuitDescriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Creates the two ends.
pub(crate) fn pair() -> io::Result<(QuitDescriptor, QuitTrigger)> {
    let (polled, raise) = ends()?;
    Ok((QuitDescriptor(polled), QuitTrigger(raise)))
}

#[cfg(target_os = "linux")]
pub(crate) use eventfd::is_own;
#[cfg(any(target_os = "linux", target_os = "android"))]
use eventfd::{Raise, Shared, ends};

/// One descriptor for both ends.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod eventfd {
    use std::io;
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use rustix::event::{EventfdFlags, eventfd};

    pub(super) type Shared = Arc<Own>;
    pub(super) type Raise = Arc<Own>;

    pub(super) fn ends() -> io::Result<(Shared, Raise)> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let both = Arc::new(Own::new(eventfd(0, flags)?));
        Ok((Arc::clone(&both), both))
    }

    /// A bit for each descriptor number that belongs to quitter. Reports leave these descriptors out of a
    /// poll. Higher numbers are rare, and are shown.
    static OWN: [AtomicU64; 1024] = [const { AtomicU64::new(0) }; 1024];

    pub(in crate::io) struct Own(OwnedFd);

    impl Own {
        fn new(fd: OwnedFd) -> Self {
            if let Some((word, bit)) = place(fd.as_raw_fd()) {
                word.fetch_or(bit, Ordering::Relaxed);
            }
            Self(fd)
        }
    }

    impl Drop for Own {
        fn drop(&mut self) {
            // Before the descriptor is closed: its number may be reused at once.
            if let Some((word, bit)) = place(self.0.as_raw_fd()) {
                word.fetch_and(!bit, Ordering::Relaxed);
            }
        }
    }

    impl AsFd for Own {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }

    /// Whether the descriptor with this number is quitter's.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    pub(crate) fn is_own(fd: RawFd) -> bool {
        place(fd).is_some_and(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0)
    }

    fn place(fd: RawFd) -> Option<(&'static AtomicU64, u64)> {
        let fd = usize::try_from(fd).ok()?;
        Some((OWN.get(fd / 64)?, 1 << (fd % 64)))
    }

    impl Drop for super::QuitTrigger {
        fn drop(&mut self) {
            // By eventfd(2) the write fails only if the count would overflow, and the count is at most one.
            let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_number_is_quitters_until_both_ends_are_dropped() {
            let (shared, raise) = ends().unwrap();
            // Far from the numbers of other tests.
            let far = rustix::io::fcntl_dupfd_cloexec(&shared, 900).unwrap();
            drop((shared, raise));
            let number = far.as_raw_fd();
            assert!(!is_own(number));
            let both = Arc::new(Own::new(far));
            let other = Arc::clone(&both);
            drop(both);
            assert!(is_own(number));
            drop(other);
            assert!(!is_own(number));
            assert!(!is_own(-1) && !is_own(RawFd::MAX));
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
use pipe::{Raise, Shared, ends};

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod pipe {
    use std::io::{self, PipeReader, PipeWriter, Write, pipe};

    pub(super) type Shared = PipeReader;
    pub(super) type Raise = PipeWriter;

    pub(super) fn ends() -> io::Result<(Shared, Raise)> {
        pipe()
    }

    impl Drop for super::QuitTrigger {
        fn drop(&mut self) {
            // Closing it would not do: a forked process may have it open, too.
            let _ = self.0.write(&[1]);
        }
    }
}
