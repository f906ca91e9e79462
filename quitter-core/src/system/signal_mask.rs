//! Which signals a thread blocks.

use std::ffi::c_int;
use std::marker::PhantomData;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};

/// Unblocks these signals on this thread.
pub(crate) fn unblock(signals: &[c_int]) {
    change_mask(libc::SIG_UNBLOCK, &set_of(signals));
}

/// The signals that [`Blocked`] has blocked on a thread that accepted them before, as bits.
static WERE_ACCEPTED: AtomicU64 = AtomicU64::new(0);

/// Blocks signals on its thread until it is dropped. Threads that are started meanwhile inherit that: they
/// run code of the program under [`accepting_signals`].
pub(crate) struct Blocked {
    /// The signals that were blocked before.
    before: libc::sigset_t,
    /// It belongs to the thread that created it.
    _not_send: PhantomData<*const ()>,
}

impl Blocked {
    pub(crate) fn new(signals: &[c_int]) -> Self {
        let this = Self::change(libc::SIG_BLOCK, signals);
        let accepted = signals.iter().filter(|signal| !has(&this.before, **signal));
        let bits = accepted.fold(0, |bits, signal| bits | bit_of(*signal));
        WERE_ACCEPTED.fetch_or(bits, Ordering::Relaxed);
        this
    }

    fn change(how: c_int, signals: &[c_int]) -> Self {
        Self {
            before: change_mask(how, &set_of(signals)),
            _not_send: PhantomData,
        }
    }
}

/// Calls `f`, which is code of the program, on one of quitter's own threads. Meanwhile the thread accepts the
/// signals that it only blocks because a thread of the program did so for quitter: the child processes and
/// threads that `f` starts inherit what is blocked.
pub(crate) fn accepting_signals<T>(f: impl FnOnce() -> T) -> T {
    let were_accepted = WERE_ACCEPTED.load(Ordering::Relaxed);
    let numbers = 1..=u64::BITS.cast_signed();
    let signals: Vec<_> = numbers
        .filter(|number| were_accepted & bit_of(*number) != 0)
        .collect();
    let _until_then = Blocked::change(libc::SIG_UNBLOCK, &signals);
    f()
}

/// The bit of a signal; none of a number that is not a signal.
fn bit_of(signal: c_int) -> u64 {
    let place = u32::try_from(signal)
        .ok()
        .and_then(|number| number.checked_sub(1));
    place
        .and_then(|place| 1_u64.checked_shl(place))
        .unwrap_or(0)
}

/// Whether a set contains a signal.
fn has(set: &libc::sigset_t, signal: c_int) -> bool {
    // SAFETY: `set` has the right type and outlives the call; sigismember(3) refuses a number that is not a
    // signal.
    unsafe { libc::sigismember(set, signal) == 1 }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        change_mask(libc::SIG_SETMASK, &self.before);
    }
}

fn set_of(signals: &[c_int]) -> libc::sigset_t {
    // SAFETY: a signal set is a C struct of integers, all valid as zero.
    let mut set: libc::sigset_t = unsafe { mem::zeroed() };
    // SAFETY: `set` has the right type, is exclusively borrowed and outlives the calls; sigaddset(3) refuses
    // a number that is not a signal.
    unsafe {
        libc::sigemptyset(&raw mut set);
        for signal in signals {
            libc::sigaddset(&raw mut set, *signal);
        }
    }
    set
}

/// Changes the signal mask of this thread, and returns the previous one.
fn change_mask(how: c_int, signals: &libc::sigset_t) -> libc::sigset_t {
    let mut before = set_of(&[]);
    // SAFETY: both sets have the right type and outlive the call, and the second is exclusively borrowed. By
    // pthread_sigmask(3) the call can only fail for a `how` other than the three constants.
    unsafe { libc::pthread_sigmask(how, signals, &raw mut before) };
    before
}
