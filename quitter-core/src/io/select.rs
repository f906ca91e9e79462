//! Waits for terminals on Apple's systems, where `poll` refuses them. `select` accepts them, but needs unsafe
//! code: it trusts that each descriptor is open.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::event::{
    FdSetElement, FdSetIter, Timespec, fd_set_insert, fd_set_num_elements, select,
};

use super::Wanted;

/// Waits until the source is ready, `quit` is readable, or the time `left` has passed, and returns whether
/// the source is ready. May return early.
pub(super) fn wait(
    source: BorrowedFd<'_>,
    wanted: Wanted,
    quit: Option<BorrowedFd<'_>>,
    left: Option<&Timespec>,
) -> io::Result<bool> {
    let source = source.as_raw_fd();
    let quit = quit.map(|quit| quit.as_raw_fd());
    let count = source.max(quit.unwrap_or(source)) + 1;
    let empty = || vec![FdSetElement::default(); fd_set_num_elements(2, count)];
    let (mut read, mut write) = (empty(), empty());
    let of_source = match wanted {
        Wanted::Readable => &mut read,
        Wanted::Writable => &mut write,
    };
    fd_set_insert(of_source, source);
    if let Some(quit) = quit {
        fd_set_insert(&mut read, quit);
    }
    // SAFETY: both descriptors are borrowed, and so open. The sets have room for them.
    let selected = unsafe { select(count, Some(&mut read), Some(&mut write), None, left) };
    match selected {
        Ok(_) => {}
        Err(rustix::io::Errno::INTR) => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    let of_wanted = match wanted {
        Wanted::Readable => read,
        Wanted::Writable => write,
    };
    Ok(FdSetIter::new(&of_wanted).any(|fd| fd == source))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::time::Instant;

    use super::*;

    const NO_TIME: Timespec = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };

    #[test]
    fn a_source_is_ready_when_it_has_something_or_takes_something() {
        let (mut near, mut far) = UnixStream::pair().unwrap();
        let ready = |wanted| wait(near.as_fd(), wanted, None, Some(&NO_TIME)).unwrap();
        assert!(!ready(Wanted::Readable) && ready(Wanted::Writable));
        far.write_all(b"x").unwrap();
        assert!(wait(near.as_fd(), Wanted::Readable, None, None).unwrap());
        near.set_nonblocking(true).unwrap();
        near.read_exact(&mut [0]).unwrap();
        while near.write(&[0; 1 << 16]).is_ok() {}
        let full = wait(near.as_fd(), Wanted::Writable, None, Some(&NO_TIME));
        assert!(!full.unwrap());
    }

    #[test]
    fn the_quit_ends_the_wait_and_makes_nothing_ready() {
        let (near, far) = UnixStream::pair().unwrap();
        let (quit, told) = UnixStream::pair().unwrap();
        drop(told);
        assert!(!wait(near.as_fd(), Wanted::Readable, Some(quit.as_fd()), None).unwrap());
        drop(far);
        assert!(wait(near.as_fd(), Wanted::Readable, Some(quit.as_fd()), None).unwrap());
    }

    #[test]
    fn the_wait_ends_when_its_time_is_up() {
        let (near, _far) = UnixStream::pair().unwrap();
        let left = Timespec {
            tv_sec: 0,
            tv_nsec: 20_000_000,
        };
        let from = Instant::now();
        assert!(!wait(near.as_fd(), Wanted::Readable, None, Some(&left)).unwrap());
        assert!(from.elapsed().as_millis() >= 20);
    }
}
