//! How soon a thread of quitter's runs where others keep all processors busy.

use std::ffi::c_int;

/// Has the system run this thread soon after a wake, also where others keep all processors busy: there a
/// thread waits until half of the others have had their turns. It gets no more of a processor for it, since
/// its own turns are as much shorter. Threads that it starts have turns as usual.
///
/// Linux can do that since 6.12. A thread with a policy or a priority of its own is left as it is.
pub(crate) fn run_soon() {
    const RESET_ON_FORK: u64 = 1;
    let Some(mut attr) = scheduling().filter(is_usual) else {
        return;
    };
    attr.sched_flags |= RESET_ON_FORK;
    attr.sched_runtime = SHORTEST_TURN;
    // SAFETY: by sched_setattr(2) zero is the calling thread, and as many bytes are read of `attr` as it
    // says itself, which sched_getattr(2) has written: no more than it has.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) };
}

/// In nanoseconds.
const SHORTEST_TURN: u64 = 100_000;

fn is_usual(attr: &libc::sched_attr) -> bool {
    c_int::try_from(attr.sched_policy) == Ok(libc::SCHED_OTHER) && attr.sched_nice >= 0
}

/// How the system runs this thread. `None`: there is a seccomp filter, which may end the program for a call
/// that it does not allow.
fn scheduling() -> Option<libc::sched_attr> {
    // SAFETY: by PR_GET_SECCOMP(2const) it takes nothing and changes nothing. A filter allows prctl(2), with
    // which std names threads.
    if unsafe { libc::prctl(libc::PR_GET_SECCOMP) } != 0 {
        return None;
    }
    // SAFETY: `sched_attr` is a C struct of integers, all valid as zero.
    let mut attr: libc::sched_attr = unsafe { std::mem::zeroed() };
    let size = size_of_val(&attr);
    // SAFETY: by sched_getattr(2) zero is the calling thread, and at most `size` bytes are written to
    // `attr`, which is of that size, exclusively borrowed and lives on.
    let done = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attr, size, 0) } == 0;
    done.then_some(attr)
}

/// How long a turn of this thread is, in nanoseconds. Linux before 6.12 says zero.
#[cfg(test)]
pub(crate) fn turn() -> Option<u64> {
    scheduling().map(|attr| attr.sched_runtime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_is_to_run_soon_has_short_turns_but_not_those_that_it_starts() {
        let before = turn();
        let runs_soon = move || {
            run_soon();
            (turn(), std::thread::spawn(turn).join().unwrap())
        };
        let (soon, started) = std::thread::spawn(runs_soon).join().unwrap();
        assert_eq!(started, before);
        let is_known = before > Some(0) && scheduling().is_some_and(|attr| is_usual(&attr));
        let short = is_known.then_some(SHORTEST_TURN);
        assert_eq!(soon, short.or(before));
    }
}
