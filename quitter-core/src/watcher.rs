//! The one thread that watches the quit sources, from the making of the main quitter on, and that
//! ends a process which does not end by itself.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Select, Sender, bounded, never};

use crate::console;
use crate::events::{Described, Shared};
use crate::report::exit_code;
use crate::signal;
use crate::source::{Heard, Listen};
use crate::tree::Limits;

/// How long after the deadline of the quit the process is ended by force: the time in which an exit
/// that is on its way writes its report.
const FORCED_AFTER: Duration = Duration::from_millis(150);

/// How long the report of a forced end may take.
const LAST_REPORT: Duration = Duration::from_millis(80);

/// What the main quitter tells its watcher.
pub(crate) enum Control {
    /// Watch this source, too.
    Add(Listening),
    /// List what has come by now, hand over the exit code where somebody waits for that, and stop.
    Stop(Option<Sender<()>>),
}

/// A source that is listened to.
pub(crate) struct Listening {
    pub(crate) described: Described,
    pub(crate) channel: Box<dyn Listen>,
}

pub(crate) struct Watcher {
    shared: Arc<Shared>,
    control: Receiver<Control>,
    sources: Vec<Listening>,
    /// The quit event has been printed.
    announced: bool,
    /// End the process by force after the deadline.
    force: bool,
    /// When to say that registered routines wait for the body of `main`.
    hint_at: Option<Instant>,
}

/// What the select has chosen.
enum Chosen {
    Control(Control),
    /// The main quitter is gone.
    Gone,
    Quit,
    Source(usize, Heard),
    Time,
}

impl Watcher {
    pub(crate) fn new(
        shared: Arc<Shared>,
        control: Receiver<Control>,
        force: bool,
        hint_at: Option<Instant>,
    ) -> Self {
        Self {
            shared,
            control,
            sources: Vec::new(),
            announced: false,
            force,
            hint_at,
        }
    }

    pub(crate) fn run(mut self) {
        loop {
            match self.choose(self.next_time()) {
                Chosen::Control(Control::Add(source)) => self.sources.push(source),
                Chosen::Control(Control::Stop(done)) => return self.stop(done),
                Chosen::Gone => return,
                Chosen::Quit => self.announce(),
                Chosen::Source(at, heard) => self.fire(at, heard),
                Chosen::Time => self.on_time(),
            }
        }
    }

    /// Waits for whatever comes first, fairly among what is there (rule 11).
    fn choose(&self, until: Option<Instant>) -> Chosen {
        let unannounced = match self.announced {
            true => &never(),
            false => self.shared.root().quit_chan(),
        };
        let mut select = Select::new();
        let control = select.recv(&self.control);
        let quit = select.recv(unannounced);
        let first = quit + 1;
        for source in &self.sources {
            source.channel.add_to(&mut select);
        }
        let operation = match until {
            None => select.select(),
            Some(until) => match select.select_deadline(until) {
                Ok(operation) => operation,
                Err(_) => return Chosen::Time,
            },
        };
        match operation.index() {
            index if index == control => match operation.recv(&self.control) {
                Ok(control) => Chosen::Control(control),
                Err(_) => Chosen::Gone,
            },
            index if index == quit => {
                let _closed = operation.recv(unannounced);
                Chosen::Quit
            }
            index => {
                let at = index - first;
                Chosen::Source(at, self.sources[at].channel.receive(operation))
            }
        }
    }

    /// A source fires once and is then left alone.
    fn fire(&mut self, at: usize, heard: Heard) {
        let source = self.sources.swap_remove(at).described;
        match heard {
            Heard::Message(message) => self.shared.fire(source, message, false),
            Heard::Closed => self.shared.fire(source, None, true),
        }
    }

    fn announce(&mut self) {
        self.announced = true;
        self.hint_at = None;
        if let Some(cause) = self.shared.root().quit_cause() {
            console::say(format_args!("Received quit from {cause}"));
        }
    }

    fn next_time(&self) -> Option<Instant> {
        [self.hint_at, self.forced_at()].into_iter().flatten().min()
    }

    fn forced_at(&self) -> Option<Instant> {
        let deadline = self.force.then(|| self.shared.root().deadline()).flatten();
        deadline?.checked_add(FORCED_AFTER)
    }

    fn on_time(&mut self) {
        if self.forced_at().is_some_and(|at| at <= Instant::now()) {
            self.end_by_force();
        }
        if self.hint_at.take().is_some() && !self.shared.routines_started() {
            console::say(
                "The body of main still runs, and registered routines wait for its end. If it is \
                 the foreground work, use start = \"before_body\" or main.start_routines()",
            );
        }
    }

    /// Ends the process with a report of who is live. That is written by a thread of its own:
    /// stderr may be blocked.
    fn end_by_force(&self) -> ! {
        let (done, written) = bounded(1);
        let shared = Arc::clone(&self.shared);
        let report = move || {
            let limits = Limits {
                until: Some(Instant::now()),
                ..Limits::default()
            };
            let live = shared.root().node().wait_done(limits);
            if let Some(report) = shared.report(live.err().unwrap_or_default()) {
                console::say(&report);
                let _ = done.send(report.exit_code);
            }
        };
        let thread = thread::Builder::new().name("quitter report".to_owned());
        let code = match thread.spawn(report) {
            Ok(_) => written.recv_timeout(LAST_REPORT).ok(),
            Err(_) => None,
        };
        signal::exit_now(code.unwrap_or(exit_code::TROUBLE))
    }

    /// Lists what has come by now. Where the end is forced, sees to that it comes.
    fn stop(mut self, done: Option<Sender<()>>) {
        while let Chosen::Source(at, heard) = self.choose_ready() {
            self.fire(at, heard);
        }
        if !self.announced {
            self.announce();
        }
        // The receivers are gone: a further signal ends the process.
        self.sources.clear();
        self.shared.events().signals = None;
        if let Some(done) = done {
            let _ = done.send(());
        }
        if let Some(at) = self.forced_at() {
            thread::sleep(at.saturating_duration_since(Instant::now()));
            let code = self.shared.events().exit_code;
            signal::exit_now(code.unwrap_or(exit_code::TROUBLE));
        }
    }

    /// The next source that is ready, without waiting.
    fn choose_ready(&self) -> Chosen {
        let mut select = Select::new();
        for source in &self.sources {
            source.channel.add_to(&mut select);
        }
        match select.try_select() {
            Ok(operation) => {
                let at = operation.index();
                Chosen::Source(at, self.sources[at].channel.receive(operation))
            }
            Err(_) => Chosen::Time,
        }
    }
}
