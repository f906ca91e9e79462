//! Finds out when all threads of a process block. Linux tells the state of each, so no guess is needed of
//! how long that takes.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;

/// How often in a row all threads must be asleep. A thread that waits for a lock on its way into the
/// blocking call is asleep for a moment, too.
const LOOKS: usize = 3;

/// Blocks until every thread of this process sleeps, except the caller's.
///
/// # Panics
///
/// If there is no `/proc`.
pub fn wait_for_others() {
    let own = fs::read_link("/proc/thread-self").expect("Linux");
    wait(Path::new("/proc/self/task"), own.file_name());
}

/// Blocks until every thread of another process sleeps.
///
/// # Panics
///
/// If the process ends.
pub fn wait_for_process(pid: u32) {
    wait(Path::new(&format!("/proc/{pid}/task")), None);
}

fn wait(tasks: &Path, except: Option<&std::ffi::OsStr>) {
    let mut looks = 0;
    while looks < LOOKS {
        looks = if all_sleep(tasks, except).expect("a live process") {
            looks + 1
        } else {
            0
        };
        thread::yield_now();
    }
}

fn all_sleep(tasks: &Path, except: Option<&std::ffi::OsStr>) -> io::Result<bool> {
    for task in fs::read_dir(tasks)? {
        let task = task?;
        if Some(task.file_name().as_os_str()) == except {
            continue;
        }
        match fs::read_to_string(task.path().join("stat")) {
            Ok(stat) if sleeps(&stat) => {}
            // The thread has ended since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// The state follows the name, which is in parentheses and may contain parentheses.
fn sleeps(stat: &str) -> bool {
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| rest.starts_with('S'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_parenthesis_does_not_hide_the_state() {
        assert!(sleeps("17 (a) R (b) S 1 17"));
        assert!(!sleeps("17 (a) S (b) R 1 17"));
    }
}
