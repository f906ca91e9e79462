//! Tasks, functions that a quit calls, snapshots, I/O and child processes.

use std::collections::HashSet;
use std::future::pending;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use quitter_core::{OnQuit, Snapshot};

use super::user::User;
use super::{FIGURES, Figures, HANG, Told};

/// A task that its user polls now and then.
pub(super) struct Polled {
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
    id: u64,
    pub(super) told: Arc<Told>,
    woken: Arc<Woken>,
    was_pending: bool,
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A function that the quit calls, and how often it was called.
pub(super) struct Called {
    _on_quit: OnQuit,
    calls: Arc<AtomicU64>,
}

impl Called {
    /// Requires that the quitter was told to quit.
    pub(super) fn assert_was_called_once(&self) {
        assert_eq!(self.calls.load(Ordering::SeqCst), 1);
    }
}

#[derive(Default)]
pub(super) struct OtherWork {
    pub(super) tasks: Vec<Polled>,
    called: Vec<Called>,
    #[cfg(feature = "process")]
    processes: Vec<quitter_core::ProcessHandle>,
}

impl User {
    pub(super) fn make_task(&mut self) {
        let entry = self.season.any(&mut self.rng);
        let waits_for = self.season.any(&mut self.rng).quitter;
        let told = entry.told.is_told();
        let what = self.rng.u8(..6);
        let made = entry.quitter.routine("task").task(|q| async move {
            match what {
                0 => return Err("failed"),
                1 => resume_unwind(Box::new("panicked")),
                2 => assert!(q.cancel_on_quit(pending::<()>()).await.is_err()),
                3 => drop(q.cancel_on_quit(waits_for.done()).await),
                _ => q.quitting().await,
            }
            Ok(())
        });
        let Ok(task) = made else {
            return assert!(entry.quitter.has_to_quit());
        };
        assert!(!told, "admitted after a quit that had returned");
        Figures::count(&FIGURES.tasks);
        let tasks = &mut self.other.tasks;
        tasks.push(Polled {
            id: task.id(),
            future: Box::pin(task),
            told: entry.told,
            woken: Arc::default(),
            was_pending: false,
        });
        if tasks.len() > 8 {
            // Most of these tasks are unfinished.
            drop(tasks.swap_remove(self.rng.usize(..8)));
        }
    }

    pub(super) fn poll_task(&mut self) {
        let tasks = &mut self.other.tasks;
        if tasks.is_empty() {
            return;
        }
        let at = self.rng.usize(..tasks.len());
        let task = &mut tasks[at];
        let told = task.told.is_told();
        if told && task.was_pending {
            // A quit that meets another one under way does not wait until that one has woken all waiters.
            let from = Instant::now();
            while !task.woken.0.load(Ordering::SeqCst) {
                assert!(from.elapsed() < HANG, "a task was not woken by a quit");
                thread::sleep(Duration::from_millis(1));
            }
            Figures::count(&FIGURES.wakes);
        }
        task.woken.0.store(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&task.woken));
        let mut cx = Context::from_waker(&waker);
        task.was_pending = task.future.as_mut().poll(&mut cx).is_pending();
        assert!(!told || !task.was_pending, "pending after a quit");
        if !task.was_pending {
            drop(tasks.swap_remove(at));
        }
    }

    pub(super) fn have_called(&mut self) {
        let entry = self.season.any(&mut self.rng);
        let told = entry.told.is_told();
        let calls = Arc::new(AtomicU64::new(0));
        let counts = Arc::clone(&calls);
        let on_quit = entry.quitter.on_quit(move || {
            counts.fetch_add(1, Ordering::SeqCst);
            Figures::count(&FIGURES.wakes);
        });
        let called = Called {
            _on_quit: on_quit,
            calls,
        };
        if told {
            called.assert_was_called_once();
        }
        self.other.called.push(called);
        if self.other.called.len() > 4 {
            let Called { _on_quit, calls } = self.other.called.swap_remove(self.rng.usize(..4));
            drop(_on_quit);
            assert!(calls.load(Ordering::SeqCst) <= 1);
        }
    }

    pub(super) fn take_snapshot(&mut self) {
        let entry = match self.rng.u8(..128) {
            0 => return self.take_snapshot_with_stacks(),
            _ => self.season.any(&mut self.rng),
        };
        let told = entry.told.is_told();
        let snapshot = entry.quitter.snapshot();
        assert!(!told || snapshot.quitters[0].quit.is_some());
        self.check_snapshot(&entry.told, &snapshot);
    }

    /// Interrupts every thread.
    fn take_snapshot_with_stacks(&mut self) {
        let root = self.season.root.clone();
        #[cfg(feature = "stacks")]
        let snapshot = {
            let snapshot = root.quitter.snapshot_with_stacks();
            let stacks = snapshot.routines().map(|routine| routine.stacks.len());
            let stacks = stacks.sum::<usize>() as u64;
            FIGURES.stacks.fetch_add(stacks, Ordering::Relaxed);
            snapshot
        };
        #[cfg(not(feature = "stacks"))]
        let snapshot = root.quitter.snapshot();
        assert!(snapshot.to_string().starts_with("root"));
        self.check_snapshot(&root.told, &snapshot);
    }

    fn check_snapshot(&self, top: &Arc<Told>, snapshot: &Snapshot) {
        Figures::count(&FIGURES.snapshots);
        let ids: HashSet<u64> = snapshot.routines().map(|routine| routine.id).collect();
        assert_eq!(ids.len(), snapshot.routines().count(), "listed twice");
        self.assert_lists_own(top, &ids);
    }

    /// Asserts that `ids` contains all work of this thread that is live below `top`.
    pub(super) fn assert_lists_own(&self, top: &Arc<Told>, ids: &HashSet<u64>) {
        let guards = self.guards.iter().map(|(guard, told)| (guard.id(), told));
        let tasks = self.other.tasks.iter().map(|task| (task.id, &task.told));
        for (id, told) in guards.chain(tasks) {
            assert!(
                !told.is_below(top) || ids.contains(&id),
                "own work is not listed"
            );
        }
    }

    #[cfg(feature = "io")]
    pub(super) fn wait_for_data(&mut self) {
        use std::io::{Read, Write};
        use std::os::unix::net::UnixStream;

        use quitter_core::Ready;

        let entry = self.season.any(&mut self.rng);
        let (reader, mut writer) = UnixStream::pair().unwrap();
        let has_data = self.rng.bool();
        if has_data {
            writer.write_all(b"x").unwrap();
        }
        Figures::count(&FIGURES.io);
        let told = entry.told.is_told();
        let quitter = &entry.quitter;
        let what = self.rng.u8(..30);
        if what == 0 {
            let read = quitter.interruptible(&reader).read(&mut [0; 4]);
            match read {
                Ok(length) => assert!(length == 1 && has_data && !told),
                Err(_) => assert!(quitter.has_to_quit()),
            }
            return;
        }
        let ready = match what {
            // Blocks until this quitter, or in the end the root, is told to quit.
            1 => quitter.wait_readable(&reader),
            2..16 => quitter.wait_readable_timeout(&reader, Duration::ZERO),
            _ => quitter.wait_readable_timeout(&reader, Duration::from_micros(300)),
        };
        match ready.unwrap() {
            Ready::Now => assert!(has_data && !told),
            Ready::TimedOut => assert!(!has_data && !told),
            Ready::Quitting => {
                Figures::count(&FIGURES.wakes);
                assert!(quitter.has_to_quit());
            }
        }
    }

    #[cfg(not(feature = "io"))]
    pub(super) fn wait_for_data(&mut self) {}

    /// Called rarely, since starting a process costs as much as thousands of other steps.
    #[cfg(feature = "process")]
    pub(super) fn start_process(&mut self) {
        use std::process::Command;

        use quitter_core::AddProcessError;

        if self.rng.u8(..4) > 0 {
            return;
        }
        let entry = self.season.any(&mut self.rng);
        let mut command = match self.rng.u8(..4) {
            0 => Command::new("true"),
            1 => Command::new("false"),
            _ => Command::new("sleep"),
        };
        command.arg("1000");
        match entry.quitter.routine("process").process(command) {
            Ok(process) => {
                Figures::count(&FIGURES.processes);
                self.other.processes.push(process);
            }
            Err(AddProcessError::Quitting) => assert!(entry.quitter.has_to_quit()),
            Err(error) => panic!("{error}"),
        }
        if self.other.processes.len() > 2 {
            let process = self.other.processes.remove(0);
            let _ = process.send_signal(libc::SIGKILL);
            let end = process.wait(HANG).unwrap();
            assert!(end.status.is_some());
        }
    }

    #[cfg(not(feature = "process"))]
    pub(super) fn start_process(&mut self) {}
}

impl OtherWork {
    /// Ends the tasks, once the root was told to quit. The rest is checked when everything is done.
    pub(super) fn end_tasks(&mut self) {
        for mut task in self.tasks.drain(..) {
            let mut cx = Context::from_waker(Waker::noop());
            assert!(task.future.as_mut().poll(&mut cx).is_ready());
        }
    }

    /// Requires that everything is done.
    pub(super) fn assert_has_ended(&self) {
        self.called.iter().for_each(Called::assert_was_called_once);
        #[cfg(feature = "process")]
        for process in &self.processes {
            assert!(process.end().is_some());
        }
    }
}
