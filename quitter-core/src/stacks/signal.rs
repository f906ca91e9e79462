//! Copies the stacks of other threads, with unsafe code.
//!
//! A thread is sent a signal, and copies its own registers and the bytes of its stack in the handler. The
//! handler does nothing else: it takes no lock, allocates nothing and does not interpret the bytes. The bytes
//! are read through `/proc/self/mem`: if a stack's bounds are not what they seem, the copy ends, and not the
//! process.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::{io, mem};

use super::limit::Limit;
use super::modules::Mappings;
use super::{MAX_THREADS, Thread, Why};
use crate::sync::lock_std;
use crate::system::action_of;

/// The maximum number of bytes of a stack that are copied.
pub(super) const MAX_BYTES: usize = 256 * 1024;

/// How much room a stack must have for a signal handler, in bytes.
const LEAST_ROOM: u64 = 8 * 1024;

/// A thread's registers and the bytes of its stack, at one instant.
pub(super) struct Copied {
    pub(super) registers: Registers,
    /// From the stack pointer upwards.
    pub(super) bytes: Vec<u8>,
}

/// The registers that the unwinding starts with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Registers {
    pub(super) pc: u64,
    pub(super) sp: u64,
    pub(super) fp: u64,
    /// The link register; 0 on x86-64, which has none.
    pub(super) lr: u64,
}

/// Copies the stacks of these threads, all at the same time. Only one call may run at a time. `memory` is
/// `/proc/self/mem`.
pub(super) fn copy(
    threads: &[Thread],
    mappings: &Mappings,
    memory: File,
    limit: Limit,
) -> Vec<Result<Copied, Why>> {
    let Some(signal) = claim() else {
        return threads.iter().map(|_| Err(Why::NoSignal)).collect();
    };
    let memory = Arc::new(memory);
    let mut copying = lock_std(&COPYING);
    copying.retain(|left| left.slot.is(Step::Copying));
    // A slot is still in use if a handler was preempted in an earlier call.
    let slots = SLOTS.iter().filter(|slot| !slot.is(Step::Copying));
    let asked = threads.iter().zip(slots);
    let asked: Vec<_> = asked
        .map(|(thread, slot)| ask(*thread, slot, signal, mappings, &memory))
        .collect();
    let is_settled = |request: &Request| request.slot.is_done() || has_ended(request.thread);
    limit.wait_until(|| asked.iter().flatten().all(is_settled));
    let copies = asked.into_iter().map(|request| {
        let request = request?;
        request
            .take()
            .unwrap_or_else(|Request { slot, buffer, .. }| {
                copying.push(StillCopying {
                    slot,
                    _buffer: buffer,
                    _memory: Arc::clone(&memory),
                });
                Err(Why::NoAnswer)
            })
    });
    let mut copies: Vec<_> = copies.collect();
    copies.resize_with(threads.len(), || Err(Why::TooMany));
    copies
}

/// The signal that is free for this, with our handler. The signal is chosen once, and checked each time: the
/// program may have taken it since.
fn claim() -> Option<c_int> {
    static CLAIMED: AtomicI32 = AtomicI32::new(0);
    let ours = on_signal as extern "C" fn(_, _, _) as usize;
    let claimed = CLAIMED.load(Ordering::Relaxed);
    if claimed != 0 && action_of(claimed) == Some(ours) {
        return Some(claimed);
    }
    // Others take signals from the lower end, and tools take the very last one.
    let mut signals = (libc::SIGRTMIN() + 1..libc::SIGRTMAX()).rev();
    let found =
        signals.find(|signal| action_of(*signal) == Some(libc::SIG_DFL) && take(*signal))?;
    CLAIMED.store(found, Ordering::Relaxed);
    Some(found)
}

/// Installs our handler. If another thread has installed one meanwhile, puts that back.
///
/// Our handler stays for good: a signal that a thread has blocked arrives when the thread unblocks it, and
/// would end the process without a handler.
fn take(signal: c_int) -> bool {
    // SAFETY: `sigaction` is a C struct of integers and a set of bits, all valid as zero.
    let (mut ours, mut before): (libc::sigaction, libc::sigaction) = unsafe { mem::zeroed() };
    ours.sa_sigaction = on_signal as extern "C" fn(_, _, _) as usize;
    // On the alternate stack, if there is one: the thread may have overflowed its own. Calls are restarted
    // where possible.
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
    // SAFETY: both structs have the right type, are exclusively borrowed and outlive the call. `on_signal`
    // has the signature that SA_SIGINFO asks for, lives as long as the program and is async-signal-safe. No
    // other handler may interrupt it: the alternate stack is small.
    unsafe {
        libc::sigfillset(&raw mut ours.sa_mask);
        if libc::sigaction(signal, &raw const ours, &raw mut before) != 0 {
            return false;
        }
        if before.sa_sigaction != libc::SIG_DFL {
            libc::sigaction(signal, &raw const before, ptr::null_mut());
        }
    }
    before.sa_sigaction == libc::SIG_DFL
}

/// Room for the answer of one thread.
///
/// `state` combines the thread's id with the progress of its answer. So only the thread that is asked answers
/// in a slot, only once, and with what is true after it was asked: a signal that arrives late finds no
/// request.
struct Slot {
    state: AtomicU64,
    /// The end of the part of the stack that is of interest.
    mark: AtomicU64,
    /// The descriptor of `/proc/self/mem`.
    memory: AtomicI32,
    buffer: AtomicPtr<u8>,
    length: AtomicUsize,
    registers: [AtomicU64; 4],
}

/// The buffers and files of answers during which a thread was preempted. They are kept until the first call
/// after the answer is complete. Only threads that copy stacks take the lock.
static COPYING: Mutex<Vec<StillCopying>> = Mutex::new(Vec::new());

struct StillCopying {
    /// Not used for another request meanwhile.
    slot: &'static Slot,
    _buffer: Vec<u8>,
    _memory: Arc<File>,
}

static SLOTS: [Slot; MAX_THREADS] = [const { Slot::new() }; MAX_THREADS];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Free,
    Asked,
    Copying,
    Done,
}

const fn state(thread: u64, step: Step) -> u64 {
    thread << 2 | step as u64
}

impl Slot {
    const fn new() -> Self {
        Self {
            state: AtomicU64::new(state(0, Step::Free)),
            mark: AtomicU64::new(0),
            memory: AtomicI32::new(-1),
            buffer: AtomicPtr::new(ptr::null_mut()),
            length: AtomicUsize::new(0),
            registers: [const { AtomicU64::new(0) }; 4],
        }
    }

    fn is(&self, step: Step) -> bool {
        self.state.load(Ordering::Acquire) & 0b11 == step as u64
    }

    fn is_done(&self) -> bool {
        self.is(Step::Done)
    }

    /// Moves from `from` to `to`, if that is the present state.
    fn step(&self, thread: u64, from: Step, to: Step) -> bool {
        let (from, to) = (state(thread, from), state(thread, to));
        self.state
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// For the handler: copies the stack if this slot asks this thread.
    fn answer(&self, thread: u64, context: *const c_void) {
        if !self.step(thread, Step::Asked, Step::Copying) {
            return;
        }
        // SAFETY: `context` is what the kernel passed to the handler.
        let registers = unsafe { registers(context) };
        let sp = registers.sp;
        for (to, from) in self
            .registers
            .iter()
            .zip([registers.pc, sp, registers.fp, registers.lr])
        {
            to.store(from, Ordering::Relaxed);
        }
        let mark = self.mark.load(Ordering::Relaxed);
        let wanted = match usize::try_from(mark.wrapping_sub(sp)) {
            Ok(distance @ 1..MAX_BYTES) => distance,
            // The mark is unknown, or on another stack, or far away.
            _ => MAX_BYTES,
        };
        let memory = self.memory.load(Ordering::Relaxed);
        let buffer = self.buffer.load(Ordering::Relaxed);
        // SAFETY: pread(2) writes at most `wanted` bytes to the buffer, which has room for MAX_BYTES and
        // belongs to this thread alone until the slot is done. The copy ends at an address that cannot be
        // read. The system call itself, unlike the C function, is not a cancellation point.
        let copied = unsafe { libc::syscall(libc::SYS_pread64, memory, buffer, wanted, sp) };
        let length = usize::try_from(copied).unwrap_or(0);
        self.length.store(length, Ordering::Relaxed);
        self.step(thread, Step::Copying, Step::Done);
    }
}

/// The signal handler. Runs on the thread whose stack is asked for, at any point of its program.
extern "C" fn on_signal(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the location of this thread's errno is valid for as long as the thread lives.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above; nothing else uses it during the handler.
    let before = unsafe { *errno };
    // SAFETY: gettid(2) takes nothing, changes nothing and cannot fail.
    let thread = u64::from(unsafe { libc::gettid() }.unsigned_abs());
    SLOTS.iter().for_each(|slot| slot.answer(thread, context));
    // SAFETY: as above.
    unsafe { *errno = before };
}

/// # Safety
///
/// `context` is what the kernel passes to a handler with SA_SIGINFO.
#[cfg(target_arch = "x86_64")]
unsafe fn registers(context: *const c_void) -> Registers {
    // SAFETY: by sigaction(2) it points to this struct.
    let context = unsafe { &*context.cast::<libc::ucontext_t>() };
    let register = |at: c_int| context.uc_mcontext.gregs[at as usize] as u64;
    Registers {
        pc: register(libc::REG_RIP),
        sp: register(libc::REG_RSP),
        fp: register(libc::REG_RBP),
        lr: 0,
    }
}

/// # Safety
///
/// `context` is what the kernel passes to a handler with SA_SIGINFO.
#[cfg(target_arch = "aarch64")]
unsafe fn registers(context: *const c_void) -> Registers {
    // SAFETY: by sigaction(2) it points to this struct.
    let context = unsafe { &*context.cast::<libc::ucontext_t>() };
    let machine = &context.uc_mcontext;
    Registers {
        pc: machine.pc,
        sp: machine.sp,
        fp: machine.regs[29],
        lr: machine.regs[30],
    }
}

/// A request to a thread.
struct Request {
    slot: &'static Slot,
    thread: u64,
    buffer: Vec<u8>,
}

/// Sends the signal to a thread, which answers in the slot.
fn ask(
    thread: Thread,
    slot: &'static Slot,
    signal: c_int,
    mappings: &Mappings,
    memory: &File,
) -> Result<Request, Why> {
    let Thread { id: thread, mark } = thread;
    check(thread, signal, mappings)?;
    let mut buffer = Vec::new();
    // A report on where a program hangs must not end it when memory runs out.
    let reserved = buffer.try_reserve_exact(MAX_BYTES);
    reserved.map_err(|error| Why::System(error.to_string()))?;
    slot.memory.store(memory.as_raw_fd(), Ordering::Relaxed);
    slot.buffer.store(buffer.as_mut_ptr(), Ordering::Relaxed);
    slot.mark.store(mark, Ordering::Relaxed);
    slot.length.store(0, Ordering::Relaxed);
    slot.state
        .store(state(thread, Step::Asked), Ordering::Release);
    let request = Request {
        slot,
        thread,
        buffer,
    };
    // SAFETY: tgkill(2) takes numbers only; the signal has a handler. A thread that has ended is an error.
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, signal) };
    match sent {
        0 => Ok(request),
        _ => {
            let error = io::Error::last_os_error();
            slot.state.store(state(0, Step::Free), Ordering::Release);
            match error.raw_os_error() {
                Some(libc::ESRCH) => Err(Why::Gone),
                _ => Err(Why::System(error.to_string())),
            }
        }
    }
}

impl Request {
    /// The answer, if there is one. `Err` if the thread was preempted during its answer, and still needs the
    /// contents of the request.
    fn take(self) -> Result<Result<Copied, Why>, Self> {
        let slot = self.slot;
        if slot.step(self.thread, Step::Asked, Step::Free) {
            return Ok(Err(match has_ended(self.thread) {
                true => Why::Gone,
                false => Why::NoAnswer,
            }));
        }
        if !slot.is_done() {
            return Err(self);
        }
        let mut buffer = self.buffer;
        let length = slot.length.load(Ordering::Relaxed).min(MAX_BYTES);
        // SAFETY: the handler has written that many bytes to it, and is done with it.
        unsafe { buffer.set_len(length) };
        let [pc, sp, fp, lr] = &slot.registers;
        let value = |register: &AtomicU64| register.load(Ordering::Relaxed);
        let registers = Registers {
            pc: value(pc),
            sp: value(sp),
            fp: value(fp),
            lr: value(lr),
        };
        slot.state.store(state(0, Step::Free), Ordering::Release);
        buffer.shrink_to_fit();
        Ok(Ok(Copied {
            registers,
            bytes: buffer,
        }))
    }
}

/// Whether the thread no longer exists: one that ends does not answer.
fn has_ended(thread: u64) -> bool {
    // SAFETY: tgkill(2) takes numbers only; the signal 0 is not sent.
    let found = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, 0) };
    found != 0 && io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH)
}

/// Checks that a thread can take a signal.
fn check(thread: u64, signal: c_int, mappings: &Mappings) -> Result<(), Why> {
    let folder = format!("/proc/self/task/{thread}");
    let status =
        fs::read(format!("{folder}/status")).map_err(|error| match error.raw_os_error() {
            Some(libc::ENOENT | libc::ESRCH) => Why::Gone,
            _ => Why::System(format!("cannot read /proc/self/task: {error}")),
        })?;
    // The name of the thread need not be UTF-8.
    let status = String::from_utf8_lossy(&status);
    let field = |name| status.lines().find_map(|line| line.strip_prefix(name));
    if field("State:").is_some_and(|state| state.trim_start().starts_with(['Z', 'X'])) {
        return Err(Why::Gone);
    }
    let blocked = field("SigBlk:").and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    if blocked.is_none_or(|mask| mask >> (signal - 1) & 1 == 1) {
        return Err(Why::Blocks);
    }
    // In a handler on an alternate stack, of 8 KiB in most cases, a second signal may be one too many. The
    // stack pointer of a running thread is not known.
    let call = fs::read_to_string(format!("{folder}/syscall")).unwrap_or_default();
    let sp = call.split_whitespace().rev().nth(1);
    let sp = sp.and_then(|sp| u64::from_str_radix(sp.trim_start_matches("0x"), 16).ok());
    match sp.and_then(|sp| mappings.room_below(sp)) {
        Some(..LEAST_ROOM) => Err(Why::NoRoom),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;

    static HANDLING: AtomicU64 = AtomicU64::new(0);
    static RELEASED: AtomicBool = AtomicBool::new(false);

    extern "C" fn hang(_: c_int) {
        HANDLING.store(crate::system::thread_id(), Ordering::Release);
        while !RELEASED.load(Ordering::Acquire) {
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_thread_that_hangs_in_a_handler_on_its_small_stack_is_left_alone() {
        // SAFETY: as in `take`. The thread that handles the signal does nothing else.
        unsafe {
            let mut action: libc::sigaction = mem::zeroed();
            action.sa_sigaction = hang as extern "C" fn(_) as usize;
            action.sa_flags = libc::SA_ONSTACK;
            libc::sigaction(libc::SIGUSR2, &raw const action, ptr::null_mut());
        }
        let thread = thread::spawn(|| {
            // SAFETY: raise(3) takes a number; the signal has a handler.
            unsafe { libc::raise(libc::SIGUSR2) }
        });
        while HANDLING.load(Ordering::Acquire) == 0 {
            thread::yield_now();
        }
        let handling = HANDLING.load(Ordering::Acquire);
        let mappings = Mappings::read().unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        let mut of_a_sleeper = Err(Why::Gone);
        while Instant::now() < until && of_a_sleeper != Err(Why::NoRoom) {
            of_a_sleeper = check(handling, libc::SIGUSR1, &mappings);
        }
        RELEASED.store(true, Ordering::Release);
        thread.join().unwrap();
        assert_eq!(of_a_sleeper, Err(Why::NoRoom));
        assert_eq!(check(handling, libc::SIGUSR1, &mappings), Err(Why::Gone));
    }

    #[test]
    fn a_slot_is_answered_once_and_only_by_the_thread_that_is_asked() {
        let slot = Slot::new();
        let ask = || slot.state.store(state(7, Step::Asked), Ordering::Release);
        ask();
        assert!(!slot.step(8, Step::Asked, Step::Copying));
        assert!(slot.step(7, Step::Asked, Step::Copying));
        assert!(!slot.step(7, Step::Asked, Step::Copying));
        assert!(slot.step(7, Step::Copying, Step::Done) && slot.is(Step::Done));
        // The request was given up: a signal that arrives late finds no request.
        ask();
        assert!(slot.step(7, Step::Asked, Step::Free));
        assert!(!slot.step(7, Step::Asked, Step::Copying));
    }

    #[test]
    fn the_buffer_of_an_unfinished_answer_is_kept_until_that_is_finished() {
        static SLOT: Slot = Slot::new();
        SLOT.state.store(state(7, Step::Copying), Ordering::Release);
        let request = Request {
            slot: &SLOT,
            thread: 7,
            buffer: Vec::with_capacity(MAX_BYTES),
        };
        let request = request.take().err().unwrap();
        assert_eq!(request.buffer.capacity(), MAX_BYTES);
        assert!(SLOT.step(7, Step::Copying, Step::Done));
        assert!(request.take().is_ok_and(|answer| answer.is_ok()));
    }
}
