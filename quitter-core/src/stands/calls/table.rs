//! The names of system calls that can block, and what their arguments mean.
//!
//! Elsewhere than on these architectures, calls are shown by their numbers, and the tests of this directory fail.

use std::ffi::c_long;

/// The meaning of a call's arguments.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Futex,
    /// The first argument is a descriptor.
    Fd,
    /// The first argument points to the descriptors, the second is their number, the third the time limit.
    Poll,
    Ppoll,
    Select,
    Epoll,
    /// Like `Epoll`, but the limit is a pointer.
    Epoll2,
    Sleep,
    /// Resumes a call that was interrupted by a stop, and has the arguments of that call.
    Restart,
    /// The first argument is the process.
    Wait4,
    /// The first argument says what the second one is.
    Waitid,
    /// The arguments say nothing helpful.
    Other,
}

/// Writes `known`. The numbers are those of libc's constants for the architecture, which are also the names.
macro_rules! calls {
    ($($(#[$where:meta])? { $($meaning:ident: [$($call:ident),* $(,)?])* })*) => {
        /// The name of a call, and what its arguments mean.
        pub(super) fn known(number: c_long) -> Option<(&'static str, Meaning)> {
            $(
                $(#[$where])?
                #[allow(unreachable_patterns, reason = "an architecture may number two names alike")]
                match number {
                    $($(libc::$call => {
                        return Some((stringify!($call).trim_start_matches("SYS_"), Meaning::$meaning));
                    })*)*
                    _ => {}
                }
            )*
            with_64_bit_times(number)
        }
    };
}

#[cfg(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "x86",
    target_arch = "arm",
    target_arch = "riscv64",
    target_arch = "loongarch64",
    target_arch = "powerpc64",
    target_arch = "s390x"
))]
calls! {
    {
        Futex: [SYS_futex]
        Fd: [
            SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_preadv,
            SYS_pwritev, SYS_preadv2, SYS_pwritev2, SYS_accept4, SYS_connect, SYS_recvfrom,
            SYS_recvmsg, SYS_recvmmsg, SYS_sendto, SYS_sendmsg, SYS_sendmmsg, SYS_sendfile,
            SYS_splice, SYS_tee, SYS_vmsplice, SYS_ioctl, SYS_fcntl, SYS_flock, SYS_fsync,
            SYS_fdatasync, SYS_syncfs, SYS_ftruncate, SYS_fallocate, SYS_close, SYS_shutdown,
            SYS_copy_file_range, SYS_getdents64, SYS_io_uring_enter, SYS_mq_timedsend,
            SYS_mq_timedreceive,
        ]
        Ppoll: [SYS_ppoll]
        Select: [SYS_pselect6]
        Epoll: [SYS_epoll_pwait]
        Epoll2: [SYS_epoll_pwait2]
        Sleep: [SYS_nanosleep, SYS_clock_nanosleep]
        Restart: [SYS_restart_syscall]
        Wait4: [SYS_wait4]
        Waitid: [SYS_waitid]
        Other: [
            SYS_openat, SYS_statx, SYS_faccessat, SYS_readlinkat, SYS_unlinkat, SYS_renameat2,
            SYS_mkdirat, SYS_linkat, SYS_symlinkat, SYS_mount, SYS_umount2, SYS_sync,
            SYS_rt_sigsuspend, SYS_rt_sigtimedwait, SYS_io_getevents, SYS_clone, SYS_clone3,
            SYS_execve, SYS_exit, SYS_exit_group, SYS_munmap, SYS_mremap, SYS_mprotect,
            SYS_madvise, SYS_msync, SYS_mlock, SYS_brk, SYS_sched_yield, SYS_membarrier,
            SYS_getrandom, SYS_ptrace, SYS_kill, SYS_tgkill, SYS_setns, SYS_unshare,
        ]
    }
    #[cfg(not(any(target_arch = "x86", target_arch = "s390x")))]
    {
        Fd: [SYS_accept]
    }
    #[cfg(not(any(target_arch = "x86", target_arch = "s390x", target_arch = "powerpc64")))]
    {
        Other: [SYS_semop, SYS_semtimedop, SYS_msgsnd, SYS_msgrcv]
    }
    // Some have these only with 64-bit offsets, or not at all.
    #[cfg(any(
        target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64", target_arch = "s390x",
    ))]
    {
        Fd: [SYS_fstat, SYS_sync_file_range]
        Other: [SYS_newfstatat, SYS_mmap]
    }
    #[cfg(not(any(target_arch = "riscv64", target_arch = "loongarch64")))]
    {
        Other: [SYS_renameat]
    }
    // Calls that newer architectures do not have.
    #[cfg(not(any(
        target_arch = "aarch64", target_arch = "riscv64", target_arch = "loongarch64",
    )))]
    {
        Poll: [SYS_poll]
        Epoll: [SYS_epoll_wait]
        Other: [
            SYS_open, SYS_stat, SYS_lstat, SYS_access, SYS_unlink, SYS_rename, SYS_mkdir, SYS_rmdir,
            SYS_readlink, SYS_pause, SYS_fork, SYS_vfork,
        ]
    }
    #[cfg(any(target_arch = "x86_64", target_arch = "s390x"))]
    {
        Select: [SYS_select]
    }
    #[cfg(any(target_arch = "x86", target_arch = "arm", target_arch = "powerpc64"))]
    {
        Select: [SYS__newselect]
    }
    #[cfg(any(target_arch = "arm", target_arch = "powerpc64"))]
    {
        Fd: [SYS_recv, SYS_send]
    }
    #[cfg(any(target_arch = "x86", target_arch = "s390x", target_arch = "powerpc64"))]
    {
        Other: [SYS_socketcall, SYS_ipc]
    }
    #[cfg(any(target_arch = "x86", target_arch = "powerpc64"))]
    {
        Wait4: [SYS_waitpid]
    }
    #[cfg(any(target_arch = "x86", target_arch = "arm"))]
    {
        Fd: [SYS_fcntl64, SYS_sendfile64, SYS_ftruncate64, SYS_fstat64]
        Other: [SYS_stat64, SYS_lstat64, SYS_fstatat64, SYS_mmap2]
    }
}

#[cfg(not(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "x86",
    target_arch = "arm",
    target_arch = "riscv64",
    target_arch = "loongarch64",
    target_arch = "powerpc64",
    target_arch = "s390x"
)))]
pub(super) fn known(number: c_long) -> Option<(&'static str, Meaning)> {
    with_64_bit_times(number)
}

/// The calls with times beyond the year 2038, which 32-bit architectures have beside the old ones. Since
/// Linux 5.1, which brought them, new calls have the same number everywhere. Not all are among libc's constants.
#[cfg(target_pointer_width = "32")]
fn with_64_bit_times(number: c_long) -> Option<(&'static str, Meaning)> {
    Some(match number {
        407 => ("clock_nanosleep_time64", Meaning::Sleep),
        413 => ("pselect6_time64", Meaning::Select),
        414 => ("ppoll_time64", Meaning::Ppoll),
        416 => ("io_pgetevents_time64", Meaning::Other),
        417 => ("recvmmsg_time64", Meaning::Fd),
        418 => ("mq_timedsend_time64", Meaning::Fd),
        419 => ("mq_timedreceive_time64", Meaning::Fd),
        420 => ("semtimedop_time64", Meaning::Other),
        421 => ("rt_sigtimedwait_time64", Meaning::Other),
        422 => ("futex_time64", Meaning::Futex),
        _ => return None,
    })
}

#[cfg(not(target_pointer_width = "32"))]
fn with_64_bit_times(_: c_long) -> Option<(&'static str, Meaning)> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel's tables say which numbers these calls have.
    #[test]
    fn the_numbers_are_those_of_the_architecture() {
        let known: [(c_long, &str); 4] = match std::env::consts::ARCH {
            "x86_64" => [
                (0, "read"),
                (7, "poll"),
                (202, "futex"),
                (230, "clock_nanosleep"),
            ],
            "x86" => [
                (3, "read"),
                (168, "poll"),
                (240, "futex"),
                (422, "futex_time64"),
            ],
            "arm" => [
                (3, "read"),
                (291, "recv"),
                (240, "futex"),
                (407, "clock_nanosleep_time64"),
            ],
            "powerpc64" => [(3, "read"), (167, "poll"), (221, "futex"), (336, "recv")],
            "s390x" => [(3, "read"), (168, "poll"), (238, "futex"), (364, "accept4")],
            // These share one table.
            _ => [
                (63, "read"),
                (73, "ppoll"),
                (98, "futex"),
                (115, "clock_nanosleep"),
            ],
        };
        for (number, name) in known {
            assert_eq!(super::known(number).map(|(name, _)| name), Some(name));
        }
    }
}
