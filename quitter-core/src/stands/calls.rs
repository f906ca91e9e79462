//! The system calls in which threads stand: their names, and the objects of their arguments.

mod table;

use self::table::{Meaning, known};
use super::fd::{self, Object};
use super::proc::{Call, Files, Whose};
#[cfg(feature = "io")]
use crate::io::descriptor;

pub(super) fn name(call: &Call) -> String {
    match known(call.number) {
        Some((name, _)) => name.to_owned(),
        None => format!("call {}", call.number),
    }
}

/// Describes the object of a call that a thread is in; for a futex, see [`futex`].
pub(super) fn object(files: &impl Files, whose: Whose, call: &Call) -> Option<Object> {
    let [first, second, third, fourth, fifth, _] = call.args;
    let descriptor = |fd| fd::describe(files, whose, fd);
    let text = match known(call.number)?.1 {
        Meaning::Futex => futex(call).map(|_| A_LOCK.to_owned()),
        Meaning::Fd => return descriptor(first),
        Meaning::Poll => return Some(poll(files, whose, call, int(third) >= 0)),
        Meaning::Ppoll => return Some(poll(files, whose, call, third != 0)),
        Meaning::Select => (fifth != 0).then(|| LIMITED.to_owned()),
        Meaning::Epoll => Some(limited(descriptor(first)?.text, int(fourth) >= 0)),
        Meaning::Epoll2 => Some(limited(descriptor(first)?.text, fourth != 0)),
        Meaning::Sleep => Some("a sleep".to_owned()),
        // Calls without a limit are restarted under their own number.
        Meaning::Restart => Some(format!("a sleep or a wait {LIMITED}, resumed after a stop")),
        Meaning::Wait4 => Some(child(files, int(first))),
        Meaning::Waitid => match (int(first), int(second)) {
            (0, _) => Some(child(files, -1)),
            (1, pid) => Some(child(files, pid)),
            (3, _) => return descriptor(second),
            _ => Some("a process group".to_owned()),
        },
        Meaning::Other => None,
    };
    text.map(Object::from)
}

/// Mutexes, condition variables, parked threads and much else are futexes.
pub(super) const A_LOCK: &str = "a lock or condition";

/// Added to the object of a call that has a time limit.
pub(super) const LIMITED: &str = "with a time limit";

/// A futex that a thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Futex {
    pub(super) address: u64,
    /// The wait has a time limit.
    pub(super) is_limited: bool,
    /// Other processes cannot wake it.
    pub(super) is_private: bool,
}

/// The futex that a thread waits for. `None` if the call waits for none.
pub(super) fn futex(call: &Call) -> Option<Futex> {
    // Not in libc for every C library.
    const LOCK_PI2: i32 = 13;
    let (_, meaning) = known(call.number)?;
    let [address, operation, _, limit, ..] = call.args;
    let operation = int(operation);
    let waits = [
        libc::FUTEX_WAIT,
        libc::FUTEX_WAIT_BITSET,
        libc::FUTEX_LOCK_PI,
        libc::FUTEX_WAIT_REQUEUE_PI,
        LOCK_PI2,
    ];
    let flags = libc::FUTEX_PRIVATE_FLAG | libc::FUTEX_CLOCK_REALTIME;
    let is_wait = meaning == Meaning::Futex && waits.contains(&(operation & !flags));
    is_wait.then_some(Futex {
        address,
        is_limited: limit != 0,
        is_private: operation & libc::FUTEX_PRIVATE_FLAG != 0,
    })
}

/// The argument as a C int.
fn int(arg: u64) -> i32 {
    (arg as u32).cast_signed()
}

fn limited(text: String, is_limited: bool) -> String {
    match is_limited {
        true => format!("{text}, {LIMITED}"),
        false => text,
    }
}

/// Describes the polled descriptors. Their array is in the program's memory, and stays there until the call
/// returns.
fn poll(files: &impl Files, whose: Whose, call: &Call, is_limited: bool) -> Object {
    /// More descriptors are only counted.
    const MAX_DESCRIPTORS: u64 = 4;
    /// The size of an entry: a C int and two 16-bit fields.
    const SIZE: u64 = 8;
    let [array, count, ..] = call.args;
    if count == 0 && is_limited {
        return Object::from("a sleep".to_owned());
    }
    let array = (1..=MAX_DESCRIPTORS).contains(&count).then_some(array);
    let bytes = array.and_then(|array| files.memory(whose, array, count * SIZE));
    let describe = |entry: &[u8]| {
        let fd = i32::from_ne_bytes(*entry.first_chunk()?);
        let is_own = matches!(whose, Whose::Thread(_)) && is_own(fd);
        let object = || fd::describe(files, whose, u64::from(fd.cast_unsigned()));
        if is_own { None } else { object() }
    };
    let bytes = bytes.unwrap_or_default();
    let found = bytes.chunks(SIZE as usize).filter_map(describe);
    let all = found.reduce(|mut all, object| {
        all.add(&object);
        all
    });
    let mut object = all.unwrap_or_else(|| match count {
        1 => Object::from("1 descriptor".to_owned()),
        count => Object::from(format!("{count} descriptors")),
    });
    object.text = limited(object.text, is_limited);
    object
}

/// Whether this is a descriptor of quitter's own, which this process polls beside those of the program.
fn is_own(fd: i32) -> bool {
    #[cfg(feature = "io")]
    return descriptor::is_own(fd);
    #[cfg(not(feature = "io"))]
    {
        let _ = fd;
        false
    }
}

fn child(files: &impl Files, pid: i32) -> String {
    match pid {
        -1 => "any child process".to_owned(),
        ..=0 => "a process group".to_owned(),
        pid => match files.read(&format!("/proc/{pid}/comm"), 64) {
            Some(name) => format!("process {pid}, '{}'", name.trim_end_matches('\n')),
            None => format!("process {pid}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::c_long;

    use super::super::proc::tests::Texts;
    use super::*;

    fn call(number: c_long, args: [u64; 6]) -> Call {
        Call {
            number,
            args,
            stack: u64::MAX,
        }
    }

    fn text(number: c_long, args: [u64; 6]) -> Option<String> {
        let texts = Texts::new()
            .link("/proc/self/fd/7", "pipe:[1]")
            .file("/proc/42/comm", "rsync\n");
        let call = call(number, args);
        Some(object(&texts, Whose::Thread(1), &call)?.text)
    }

    #[test]
    fn an_unknown_call_goes_by_its_number() {
        assert_eq!(name(&call(9999, [0; 6])), "call 9999");
        assert_eq!(text(9999, [7, 0, 0, 0, 0, 0]), None);
    }

    #[test]
    fn a_call_is_shown_with_its_object() {
        let none = u64::from(u32::MAX);
        let shown = |number, args| text(number, args).unwrap();
        assert_eq!(shown(libc::SYS_read, [7, 1, 2, 0, 0, 0]), "fd 7, a pipe");
        assert_eq!(shown(libc::SYS_clock_nanosleep, [1; 6]), "a sleep");
        assert_eq!(
            shown(libc::SYS_restart_syscall, [0; 6]),
            "a sleep or a wait with a time limit, resumed after a stop"
        );
        assert_eq!(
            shown(libc::SYS_wait4, [42, 0, 0, 0, 0, 0]),
            "process 42, 'rsync'"
        );
        assert_eq!(shown(libc::SYS_wait4, [43, 0, 0, 0, 0, 0]), "process 43");
        assert_eq!(
            shown(libc::SYS_wait4, [none, 0, 0, 0, 0, 0]),
            "any child process"
        );
        assert_eq!(
            shown(libc::SYS_waitid, [1, 42, 0, 0, 0, 0]),
            "process 42, 'rsync'"
        );
        assert_eq!(shown(libc::SYS_waitid, [3, 7, 0, 0, 0, 0]), "fd 7, a pipe");
        assert_eq!(shown(libc::SYS_ppoll, [1, 1, 0, 0, 0, 0]), "1 descriptor");
        let limited = shown(libc::SYS_ppoll, [1, 3, 1, 0, 0, 0]);
        assert_eq!(limited, "3 descriptors, with a time limit");
        // Descriptor 7, an entry that is left out, and descriptor 2.
        let entries = [7_i32, 0, -1, 0, 2, 0].map(i32::to_ne_bytes).concat();
        let polled = |count: u64, limit| {
            let mut texts = Texts::new().link("/proc/self/fd/7", "socket:[1]");
            let bytes = entries[..entries.len().min(count as usize * 8)].to_vec();
            texts.memory.insert(0x7f00, bytes);
            let call = call(libc::SYS_ppoll, [0x7f00, count, limit, 0, 0, 0]);
            object(&texts, Whose::Thread(1), &call).unwrap()
        };
        let polled = |count, limit| polled(count, limit).describe(|_| "TCP");
        assert_eq!(polled(1, 1), "fd 7, TCP, with a time limit");
        assert_eq!(polled(3, 0), "fd 7, TCP; fd 2, stderr");
        assert_eq!(polled(5, 0), "5 descriptors");
        assert_eq!(
            shown(libc::SYS_epoll_pwait, [7, 1, 1, none, 0, 0]),
            "fd 7, a pipe"
        );
        assert_eq!(text(libc::SYS_openat, [7; 6]), None);
    }

    #[test]
    fn a_futex_is_waited_for_or_something_else_is_done_with_it() {
        let private = 128;
        let waits = |operation: u64, limit| {
            futex(&call(libc::SYS_futex, [0x7f00, operation, 2, limit, 0, 0]))
        };
        let lock = waits(private, 0).unwrap();
        assert_eq!(lock.address, 0x7f00);
        assert!(lock.is_private && !lock.is_limited);
        // With a bit set, by the real-time clock.
        let limited = waits(256 | private | 9, 0x7e00).unwrap();
        assert!(limited.is_limited);
        assert!(!waits(0, 0).unwrap().is_private);
        let wake = waits(private | 1, 0);
        assert_eq!(wake, None);
        assert_eq!(futex(&call(libc::SYS_read, [0; 6])), None);
    }
}
