//! Calls to the operating system that no safe crate offers. The only module with unsafe code.
#![allow(unsafe_code)]

use std::time::Duration;

/// Whether a signal is ignored. The safe crates can only ask by changing the signal's action.
#[cfg(unix)]
pub(crate) fn is_ignored(signal: std::ffi::c_int) -> bool {
    // SAFETY: `sigaction` is a C struct of integers and a set of bits, all valid as zero.
    let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: by sigaction(2) a null new action changes nothing, and the old one is written to
    // `now`, which is of its type, exclusively borrowed and lives on.
    let done = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut now) } == 0;
    done && now.sa_sigaction == libc::SIG_IGN
}

/// The time since some moment in the past, by a clock that never goes back.
pub(crate) fn now() -> Duration {
    clock::now()
}

/// [`now`] as of the system's last tick, a few milliseconds ago. Costs a fifth of [`now`].
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
        // SAFETY: `timespec` is a C struct of integers, all valid as zero. (It cannot be built by
        // naming its fields, since some systems add a field of padding.)
        let mut time: libc::timespec = unsafe { std::mem::zeroed() };
        // SAFETY: by clock_gettime(2) the time is written to `time`, which is of its type,
        // exclusively borrowed and lives on. It only fails for an unknown clock, which leaves `time`
        // at zero, and Linux has had both since 2.6.32.
        unsafe { libc::clock_gettime(clock, &raw mut time) };
        // Never negative. Its width differs between systems.
        #[allow(clippy::useless_conversion)]
        let seconds = u64::from(time.tv_sec.unsigned_abs());
        let nanos = u32::try_from(time.tv_nsec.unsigned_abs());
        Duration::new(seconds, nanos.unwrap_or_default())
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
    fn the_coarse_clock_is_not_ahead_of_the_exact_one() {
        for _ in 0..10_000 {
            let lately = lately();
            assert!(lately <= now());
        }
    }

    #[test]
    fn the_clock_runs_as_fast_as_stds() {
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
