//! A descriptor that becomes readable when a quitter quits, and stays so.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// The end that is polled.
pub(crate) struct QuitDescriptor(Shared);

/// The end that the tree keeps until the quit. Dropping it makes the other end readable.
pub(crate) struct Unquit(Raise);

impl AsFd for QuitDescriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Makes the two ends.
pub(crate) fn pair() -> io::Result<(QuitDescriptor, Unquit)> {
    let (polled, raise) = ends()?;
    Ok((QuitDescriptor(polled), Unquit(raise)))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
use eventfd::{Raise, Shared, ends};

/// One descriptor for both ends.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod eventfd {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::sync::Arc;

    use rustix::event::{EventfdFlags, eventfd};

    pub(super) type Shared = Arc<OwnedFd>;
    pub(super) type Raise = Arc<OwnedFd>;

    pub(super) fn ends() -> io::Result<(Shared, Raise)> {
        let both = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        Ok((Arc::clone(&both), both))
    }

    impl Drop for super::Unquit {
        fn drop(&mut self) {
            // By eventfd(2) it fails only if the count would overflow, which is one at most.
            let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
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

    impl Drop for super::Unquit {
        fn drop(&mut self) {
            // To close it would not do: a forked process may have it open, too.
            let _ = self.0.write(&[1]);
        }
    }
}
