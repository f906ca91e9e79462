//! What only the operating system knows and no safe crate tells: the one module with unsafe code.
#![allow(unsafe_code)]

use std::time::Duration;

/// Whether a signal is ignored. The safe crates can only ask while they change it.
#[cfg(unix)]
pub(crate) fn is_ignored(signal: std::ffi::c_int) -> bool {
    // SAFETY: `sigaction` is a C struct of integers and a set of bits, all valid as zero.
    let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: by sigaction(2) a null new action changes nothing, and the old one is written to
    // `now`, which is of its type, exclusively borrowed and lives on.
    let done = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut now) } == 0;
    done && now.sa_sigaction == libc::SIG_IGN
}

/// The time of a clock that never goes back, since some moment in the past.
pub(crate) fn now() -> Duration {
    clock::now()
}

/// [`now`] as of the system's last tick, some milliseconds ago: a fifth of the price.
pub(crate) fn lately() -> Duration {
    clock::lately()
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod clock {
    use std::time::Duration;

    pub(super) fn now() -> Duration {
        read(libc::CLOCK_MONOTONIC)
    }

    pub(super) fn lately() -> Duration {
        read(libc::CLOCK_MONOTONIC_COARSE)
    }

    fn read(clock: libc::clockid_t) -> Duration {
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: by clock_gettime(2) the time is written to `time`, which is of its type,
        // exclusively borrowed and lives on. It fails only for a clock that is not there, and
        // these two have been since Linux 2.6.32; then `time` stays zero.
        unsafe { libc::clock_gettime(clock, &raw mut time) };
        // Never negative; of another width on a 32-bit system.
        let [seconds, nanos] = [time.tv_sec, time.tv_nsec].map(|part| part.unsigned_abs());
        #[expect(clippy::useless_conversion, reason = "not on every system")]
        Duration::new(seconds.into(), u32::try_from(nanos).unwrap_or_default())
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod clock {
    use std::sync::OnceLock;
    use std::time::{Duration, Instant};

    pub(super) fn now() -> Duration {
        static FIRST: OnceLock<Instant> = OnceLock::new();
        FIRST.get_or_init(Instant::now).elapsed()
    }

    pub(super) fn lately() -> Duration {
        now()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn what_was_lately_is_not_later_than_now() {
        for _ in 0..10_000 {
            let lately = lately();
            assert!(lately <= now());
        }
    }

    #[test]
    fn the_clock_goes_as_fast_as_stds() {
        let outer = Instant::now();
        let from = now();
        let inner = Instant::now();
        while inner.elapsed() < Duration::from_millis(2) {
            std::hint::spin_loop();
        }
        let of_std = inner.elapsed();
        let ours = now() - from;
        assert!(of_std <= ours && ours <= outer.elapsed());
    }

    #[test]
    #[cfg(unix)]
    fn a_signal_that_nobody_ignores_is_not_ignored() {
        assert!(!is_ignored(libc::SIGURG));
    }
}
