//! The processes that are killed when this process ends, in a lock-free list.
//!
//! A slot is a word: the number of a process, whether its whole group is meant, and how many threads are
//! signalling it at this moment. The reaper empties a slot before it reaps the process, and cannot do so
//! while a thread is signalling. So the number in a slot is never that of an unrelated process.

use std::io;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::slots::{FREE, Slots};
use crate::system;

/// The whole group is meant. The bits below hold the number of the process.
const GROUP: u64 = 1 << 32;
/// One thread is signalling.
const USER: u64 = 1 << 33;
const USERS: u64 = 0xfff << 33;
/// The bits from here on hold a serial number, so that no two processes of one slot have the same word.
const NUMBER: u32 = 45;

static LIST: Slots<64> = Slots::new();

/// This process is ending, and starts no more processes.
static CLOSED: AtomicBool = AtomicBool::new(false);
/// How many processes are being started, and may not be in the list yet.
static STARTING: AtomicUsize = AtomicUsize::new(0);
/// The process that the list belongs to: after a `fork(2)`, the child has a copy.
static OWNER: AtomicU32 = AtomicU32::new(0);

/// The start of a process. While this lives, the end of this process waits for a moment, so that no process
/// is missing from the list.
pub(super) struct Starting(());

impl Starting {
    /// `None`: this process is ending, or is a fork of the one with the reaper.
    pub(super) fn begin() -> Option<Self> {
        static AT_EXIT: Once = Once::new();
        if system::is_forked() {
            return None;
        }
        AT_EXIT.call_once(|| {
            OWNER.store(std::process::id(), Ordering::Relaxed);
            system::keep_ended_children();
            system::at_exit(at_exit);
        });
        STARTING.fetch_add(1, Ordering::SeqCst);
        let starting = Self(());
        (!CLOSED.load(Ordering::SeqCst)).then_some(starting)
    }

    /// Lists a process that was started.
    pub(super) fn list(&self, pid: Pid, group: bool) -> Listed {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        let group = if group { GROUP } else { 0 };
        let pid = u64::from(pid.as_raw_nonzero().get().unsigned_abs());
        let word = pid | group | number << NUMBER;
        let slot = LIST.put(word);
        Listed { slot, word }
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        STARTING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A process's place in the list.
#[derive(Clone, Copy)]
pub(super) struct Listed {
    slot: &'static AtomicU64,
    word: u64,
}

impl Listed {
    /// Signals the process, or its group. Only the reaper may call this, before it removes the process.
    pub(super) fn signal(self, signal: Signal) -> io::Result<()> {
        send(self.word, signal)
    }

    /// Signals the process itself, from any thread. Returns whether it was still listed.
    pub(super) fn signal_process(self, signal: Signal) -> bool {
        self.while_held(|word| _ = send(word & !GROUP, signal))
    }

    /// Removes the process from the list. `false`: another thread is signalling it, so try again.
    pub(super) fn remove(self) -> bool {
        let order = Ordering::SeqCst;
        let removed = self.slot.compare_exchange(self.word, FREE, order, order);
        removed.is_ok()
    }

    /// Calls `f` while the slot is held. Returns whether the process was still listed.
    fn while_held(self, f: impl FnOnce(u64)) -> bool {
        let hold = |word| (word & !USERS == self.word).then(|| word + USER);
        let held = self
            .slot
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, hold);
        if held.is_ok() {
            f(self.word);
            self.slot.fetch_sub(USER, Ordering::SeqCst);
        }
        held.is_ok()
    }
}

fn send(word: u64, signal: Signal) -> io::Result<()> {
    // The number fits, since it was that of a process.
    let pid = i32::try_from(word & u64::from(u32::MAX)).unwrap_or_default();
    let Some(pid) = Pid::from_raw(pid).filter(|pid| !pid.is_init()) else {
        return Ok(());
    };
    let sent = match word & GROUP {
        0 => kill_process(pid, signal),
        _ => kill_process_group(pid, signal),
    };
    match sent {
        // Only the ended process is left of the group.
        Err(Errno::SRCH) => Ok(()),
        sent => Ok(sent?),
    }
}

/// Kills all processes in the list, at the end of this process, which starts no others after this.
pub(crate) fn kill_all() {
    /// How long to wait for processes that are being started to get into the list.
    const STARTED: Duration = Duration::from_millis(50);
    if OWNER.load(Ordering::Relaxed) != std::process::id() {
        return;
    }
    CLOSED.store(true, Ordering::SeqCst);
    let until = Instant::now() + STARTED;
    let mut starting = STARTING.load(Ordering::SeqCst);
    kill_listed();
    while starting > 0 {
        starting = STARTING.load(Ordering::SeqCst);
        kill_listed();
        if Instant::now() >= until {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn kill_listed() {
    for listed in all_listed() {
        listed.while_held(|word| _ = send(word, Signal::KILL));
    }
}

/// How many processes [`kill_all`] would kill.
pub(crate) fn listed() -> usize {
    let is_owner = OWNER.load(Ordering::Relaxed) == std::process::id();
    if is_owner { all_listed().count() } else { 0 }
}

fn all_listed() -> impl Iterator<Item = Listed> {
    LIST.iter().filter_map(|slot| {
        let word = slot.load(Ordering::SeqCst) & !USERS;
        (word != FREE).then_some(Listed { slot, word })
    })
}

extern "C" fn at_exit() {
    kill_all();
}
