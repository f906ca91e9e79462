//! Time slices: how soon one of quitter's threads runs while others keep all processors busy.

use std::ffi::c_int;

/// Makes the system run this thread soon after a wake-up, even while others keep all processors busy. By
/// default, a thread waits there until half of the others have had their time slices. The thread gets no more
/// CPU time for it, since its own time slices are as much shorter. The threads that it starts have the usual
/// ones.
///
/// Linux has supported this since 6.12. A thread with a policy or a priority of its own is left as it is.
pub(crate) fn run_soon() {
    const RESET_ON_FORK: u64 = 1;
    let Some(mut attr) = scheduling().filter(is_usual) else {
        return;
    };
    attr.sched_flags |= RESET_ON_FORK;
    attr.sched_runtime = SHORTEST_SLICE;
    // SAFETY: by sched_setattr(2) zero is the calling thread. The kernel reads as many bytes of `attr` as its
    // size field says, which sched_getattr(2) has written: no more than it has.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) };
}

/// In nanoseconds.
const SHORTEST_SLICE: u64 = 100_000;

fn is_usual(attr: &libc::sched_attr) -> bool {
    c_int::try_from(attr.sched_policy) == Ok(libc::SCHED_OTHER) && attr.sched_nice >= 0
}

/// How the system schedules this thread. `None` if that is unknown, or if there is a seccomp filter, which
/// may end the program for a call that it does not allow.
fn scheduling() -> Option<libc::sched_attr> {
    // SAFETY: by PR_GET_SECCOMP(2const) the call takes no arguments and changes nothing. A filter has to
    // allow prctl(2), since std names threads with it.
    if unsafe { libc::prctl(libc::PR_GET_SECCOMP) } != 0 {
        return None;
    }
    // SAFETY: `sched_attr` is a C struct of integers, all valid as zero.
    let mut attr: libc::sched_attr = unsafe { std::mem::zeroed() };
    let size = size_of_val(&attr);
    // SAFETY: by sched_getattr(2) zero is the calling thread, and at most `size` bytes are written to `attr`,
    // which has that size, is exclusively borrowed and outlives the call.
    let done = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attr, size, 0) } == 0;
    done.then_some(attr)
}

/// The length of this thread's time slices, in nanoseconds. Zero on Linux before 6.12.
#[cfg(test)]
pub(crate) fn time_slice() -> Option<u64> {
    scheduling().map(|attr| attr.sched_runtime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_is_to_run_soon_has_short_time_slices_but_not_those_that_it_starts() {
        let before = time_slice();
        let runs_soon = move || {
            run_soon();
            (time_slice(), std::thread::spawn(time_slice).join().unwrap())
        };
        let (soon, started) = std::thread::spawn(runs_soon).join().unwrap();
        assert_eq!(started, before);
        let is_known = before > Some(0) && scheduling().is_some_and(|attr| is_usual(&attr));
        let short = is_known.then_some(SHORTEST_SLICE);
        assert_eq!(soon, short.or(before));
    }
}
