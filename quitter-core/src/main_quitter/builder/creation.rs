//! Creates the main quitter that a builder describes, and starts its threads.

use std::ffi::c_int;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::unbounded;

use super::MainQuitterBuilder;
use crate::error::{MainQuitterError, full_text};
use crate::main_quitter::control::Control;
use crate::main_quitter::dump::DumpOn;
use crate::main_quitter::ending::Ending;
use crate::main_quitter::exit::{MainQuitter, add_sources};
use crate::main_quitter::run::{End, Program, StartRoutines};
use crate::main_quitter::signal;
use crate::main_quitter::source::QuitSource;
use crate::main_quitter::watcher::{Watcher, WatcherConfig};
use crate::process::Process;
use crate::quitter::Quitter;
use crate::report::console;
use crate::routine::kind::Work;
use crate::routine::{hook, panics_in_hooks, registry};
use crate::system;
use crate::threads;
use crate::tree::Node;

impl MainQuitterBuilder {
    /// Creates the main quitter of a program. `body` is the kind of work that the body of `main` is. An error
    /// says why the program cannot start.
    pub(crate) fn prepare(mut self, body: Work) -> Result<Program, String> {
        const PATIENCE: Duration = Duration::from_secs(2);
        let (end, known_error) = (self.end, self.known_error);
        let start = self.start.unwrap_or(match end {
            End::OnQuitEvent => StartRoutines::AfterBody,
            End::WithBody => StartRoutines::BeforeBody,
        });
        let waits_for_body = start == StartRoutines::AfterBody;
        self.ending.force = true;
        let hint_at = waits_for_body.then(|| Instant::now() + PATIENCE);
        if let Err(error) = registry::automatic() {
            if let Ok(_claim) = Process::current().claim() {
                let _ = console::configure(self.output);
            }
            return Err(full_text(&error));
        }
        match self.make(hint_at) {
            Ok(main) => Ok(Program {
                main,
                start,
                end,
                known_error,
                body,
            }),
            Err(error) => Err(full_text(&error)),
        }
    }

    /// Creates the main quitter. `hint_at` is when to say that registered routines wait for the body of
    /// `main`.
    pub(super) fn make(
        mut self,
        hint_at: Option<Instant>,
    ) -> Result<MainQuitter, MainQuitterError> {
        let mut sources = std::mem::take(&mut self.sources);
        if self.signals && !sources.iter().any(QuitSource::is_os_signal) {
            sources.push(QuitSource::os_signal());
        }
        if sources.is_empty() && self.end == End::OnQuitEvent {
            return Err(MainQuitterError::NoSource);
        }
        let dump_on = self.ending.dump_on.as_ref().map(DumpOn::number);
        dump_on.map_or(Ok(()), signal::check)?;
        let check = |source: &QuitSource| source.check(dump_on);
        sources.iter().try_for_each(check)?;
        let signals: Vec<c_int> = sources
            .iter()
            .flat_map(|source| source.signals())
            .copied()
            .chain(dump_on)
            .collect();
        signal::leave_to_listener(&signals, || self.start_watching(sources, hint_at))
    }

    /// Creates the main quitter with these sources, and starts its threads.
    fn start_watching(
        self,
        sources: Vec<QuitSource>,
        hint_at: Option<Instant>,
    ) -> Result<MainQuitter, MainQuitterError> {
        let claim = Process::current().claim()?;
        Process::current().tracer.settle();
        // From now on, a fork is detected.
        let _ = system::is_forked();
        hook::install_if_alone();
        console::configure(self.output).map_err(MainQuitterError::Thread)?;
        console::open().map_err(MainQuitterError::Thread)?;
        #[cfg(feature = "process")]
        if self.reap_orphans {
            let reaper = &Process::current().reaper;
            reaper.reap_orphans().map_err(MainQuitterError::Thread)?;
        }
        let (control, commands) = unbounded();
        let root = Node::root("main".into(), Some(self.timeout));
        root.set_failures_while_quitting(self.failures_while_quitting);
        let ending = Arc::new(Ending::new(
            Quitter::of_new(root),
            self.ending,
            !registry::has_automatic(),
            control,
        ));
        let config = WatcherConfig {
            progress_lines: self.progress_lines,
            hint_at,
        };
        let watcher = Watcher::new(Arc::clone(&ending), commands, config);
        let started = threads::start("quitter watcher", move || watcher.run());
        started.map_err(MainQuitterError::Thread)?;
        let dumps = ending.start_dumps().map_err(MainQuitterError::Thread);
        let signals = ending.dump_on().into_iter().collect();
        if let Err(error) = dumps.and_then(|()| add_sources(&ending, sources, signals)) {
            ending.ask_watcher(Control::End);
            return Err(error);
        }
        let watcher = Arc::clone(&ending);
        panics_in_hooks::watch(move |at| watcher.ask_watcher(Control::LookAtPanics(at)));
        claim.keep();
        Ok(MainQuitter::of(ending))
    }
}
