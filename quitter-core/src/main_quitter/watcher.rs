//! The one thread that watches the quit sources, from the making of the main quitter on (but for the
//! first signal, which needs nobody), says who is waited for, and ends a process that does not end by
//! itself.
//!
//! Nothing may hold it up: it runs no code of the user's, takes no lock of std's streams, and
//! writes nothing. What is to be said it hands to the console's thread, a message that is to be
//! shown to one of its own. And it drops no receiver: the last one drops what is in the channel.

use std::collections::VecDeque;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Select, Sender, never};

use crate::error::Never;
use crate::main_quitter::events::{Described, Shared};
use crate::main_quitter::signal::{self, SecondSignal};
use crate::main_quitter::source::{Heard, Listen, text_within};
use crate::report::console;
use crate::report::exit::{ExitReport, exit_code};
use crate::report::waiting::WaitingLines;
use crate::routine::panics::{self, Panicking};
use crate::tree::Limits;

/// How long after the deadline of the quit the process is ended by force: the time in which an exit
/// that is on its way makes its report.
const FORCED_AFTER: Duration = Duration::from_millis(150);

/// How long the writing of the last words of a forced end may take.
const LAST_WORDS: Duration = Duration::from_millis(80);

/// How long a forced end waits for the thread that writes to come to it: longer, since a report that
/// a busy machine delays is worth more than a punctual end without one.
const WRITER_COMES: Duration = Duration::from_secs(1);

/// How long messages may take to be shown, all together, before it goes on without their texts.
const MESSAGES_SHOWN: Duration = Duration::from_millis(100);

/// What the main quitter tells its watcher.
pub(crate) enum Control {
    /// Watch this source, too.
    Add(Listening),
    /// Watch the signals, which are described so.
    AddSignals(Receiver<&'static str>),
    /// See to it that the panics that come through here are recorded.
    WatchPanics(Receiver<Panicking>),
    /// The main quitter exits or is gone: list what has come by now, and close the channel when all
    /// is said.
    Stop(Option<Sender<Never>>),
}

/// A source that is listened to.
pub(crate) struct Listening {
    pub(crate) described: Described,
    pub(crate) channel: Box<dyn Listen>,
}

/// What the watcher does beside watching.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    /// End the process by force after the deadline.
    pub(crate) force: bool,
    pub(crate) second_signal: SecondSignal,
    /// Say who is waited for.
    pub(crate) waiting_lines: bool,
    /// When to say that registered routines wait for the body of `main`.
    pub(crate) hint_at: Option<Instant>,
}

pub(crate) struct Watcher {
    shared: Arc<Shared>,
    control: Receiver<Control>,
    sources: ManuallyDrop<Vec<Listening>>,
    /// Those that have fired, and are left alone.
    fired: ManuallyDrop<Vec<Box<dyn Listen>>>,
    signals: Receiver<&'static str>,
    /// What is left of the time to show messages.
    to_show: Duration,
    /// The quit event has been announced.
    announced: bool,
    waiting: Option<WaitingLines>,
    panics: Receiver<Panicking>,
    /// The routines that were in their panic hooks when last looked at, in the order in which they
    /// are due.
    panicking: VecDeque<Panicking>,
    habits: Habits,
}

/// What the select has chosen.
enum Chosen {
    Control(Control),
    /// The main quitter was never whole.
    Gone,
    Quit,
    Signal(&'static str),
    Panicking(Panicking),
    Source(usize, Heard),
    Time,
}

impl Watcher {
    pub(crate) fn new(shared: Arc<Shared>, control: Receiver<Control>, habits: Habits) -> Self {
        Self {
            shared,
            control,
            sources: ManuallyDrop::default(),
            fired: ManuallyDrop::default(),
            signals: never(),
            to_show: MESSAGES_SHOWN,
            announced: false,
            waiting: None,
            panics: never(),
            panicking: VecDeque::new(),
            habits,
        }
    }

    pub(crate) fn run(mut self) {
        loop {
            match self.choose(self.next_time()) {
                Chosen::Control(Control::Add(source)) => self.sources.push(source),
                Chosen::Control(Control::AddSignals(signals)) => self.signals = signals,
                Chosen::Control(Control::WatchPanics(panics)) => self.panics = panics,
                Chosen::Panicking(routine) => self.panicking.push_back(routine),
                Chosen::Control(Control::Stop(done)) => {
                    self.list_the_last(done);
                    return self.see_to_the_end();
                }
                Chosen::Gone => return,
                Chosen::Quit => self.announce(),
                Chosen::Signal(name) => self.on_signal(name),
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
        let signal = select.recv(&self.signals);
        let panic = select.recv(&self.panics);
        let first = panic + 1;
        for source in self.sources.iter() {
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
            index if index == signal => {
                let name = operation.recv(&self.signals);
                Chosen::Signal(name.expect("whoever forwards signals never ends"))
            }
            index if index == panic => {
                let routine = operation.recv(&self.panics);
                Chosen::Panicking(routine.expect("sent to until the watching ends"))
            }
            index => {
                let at = index - first;
                Chosen::Source(at, self.sources[at].channel.receive(operation))
            }
        }
    }

    /// A source fires once and is then left alone.
    fn fire(&mut self, at: usize, heard: Heard) {
        let Listening { described, channel } = self.sources.swap_remove(at);
        self.fired.push(channel);
        let (message, closed) = match heard {
            Heard::Text(text) => (Some(text), false),
            Heard::Message(message) => {
                let from = Instant::now();
                let text = text_within(message, self.to_show);
                self.to_show = self.to_show.saturating_sub(from.elapsed());
                (text, false)
            }
            Heard::Closed => (None, true),
        };
        self.shared.fire(described, message, closed);
    }

    /// A signal that was not the first, or that came after the exit.
    fn on_signal(&self, name: &'static str) {
        let events = self.shared.events();
        let (has_exited, main_dropped) = (events.report.is_some(), events.main_dropped);
        drop(events);
        // Else nobody is there any more to exit: this is what ends the program.
        let keeps_policy = !has_exited || self.habits.force;
        match keeps_policy && !main_dropped {
            true => self.on_second_signal(name),
            false => self.end_by_signal(name),
        }
    }

    fn on_second_signal(&self, name: &'static str) {
        let since_first = self.shared.since_first_signal();
        let ends = match self.habits.second_signal {
            SecondSignal::Exit => true,
            SecondSignal::ExitAfter(delay) => since_first.is_none_or(|since| since >= delay),
            SecondSignal::Ignore => false,
        };
        if ends {
            self.end_by_signal(name);
        }
    }

    fn end_by_signal(&self, name: &'static str) -> ! {
        // The event comes first, also where the second signal is there before it was said.
        self.shared.announce();
        console::say(format!("Received {name} while quitting: ending now"));
        self.end_by_force(Some(exit_code::SECOND_SIGNAL))
    }

    fn announce(&mut self) {
        self.announced = true;
        self.habits.hint_at = None;
        self.shared.announce();
        if self.habits.waiting_lines
            && let Some(quit) = self.shared.root().node().quit_info()
        {
            self.waiting = Some(WaitingLines::new(quit.at));
        }
    }

    fn next_time(&self) -> Option<Instant> {
        let waiting = self.waiting.as_ref().map(WaitingLines::next);
        let panicking = self.panicking.front().map(Panicking::due);
        let times = [self.habits.hint_at, waiting, panicking, self.forced_at()];
        times.into_iter().flatten().min()
    }

    fn forced_at(&self) -> Option<Instant> {
        let deadline = self.habits.force.then(|| self.shared.root().deadline());
        deadline.flatten()?.checked_add(FORCED_AFTER)
    }

    fn on_time(&mut self) {
        let is_due = |time: Option<Instant>| time.is_some_and(|time| time <= Instant::now());
        if is_due(self.forced_at()) {
            self.end_by_force(None);
        }
        if is_due(self.waiting.as_ref().map(WaitingLines::next)) {
            let root = self.shared.root().node();
            let live = root.wait_done(Limits::within(Duration::ZERO)).err();
            if let Some(waiting) = &mut self.waiting {
                waiting.say(live.unwrap_or_default(), self.shared.root().deadline());
            }
        }
        while is_due(self.panicking.front().map(Panicking::due))
            && let Some(routine) = self.panicking.pop_front()
        {
            routine.fail_if_held_up();
        }
        if is_due(self.habits.hint_at) {
            self.habits.hint_at = None;
            self.say_what_waits_for_the_body();
        }
    }

    fn say_what_waits_for_the_body(&self) {
        if !self.shared.routines_started() {
            console::say(
                "The body of main still runs, and registered routines wait for its end. If it is \
                 the foreground work, use start = \"before_body\" or main.start_routines()",
            );
        }
    }

    /// Ends the process, after a report of who is live if nobody has said the outcome yet. Whoever
    /// writes that has a limited time: stderr may be blocked.
    fn end_by_force(&self, code: Option<u8>) -> ! {
        let (made, body_code) = {
            let events = self.shared.events();
            (events.report.clone(), events.body_code)
        };
        let made_code = made.as_ref().map(|report| report.exit_code);
        let code = code.or(made_code).or(body_code);
        let shared = Arc::clone(&self.shared);
        console::afterwards(move || {
            if console::claim_outcome() {
                say_outcome(&shared, made);
            }
        });
        console::flush(LAST_WORDS, WRITER_COMES);
        signal::exit_now(code.unwrap_or(exit_code::FAILURE))
    }

    /// Lists what has come by the time the main quitter exits.
    fn list_the_last(&mut self, done: Option<Sender<Never>>) {
        while let Chosen::Source(at, heard) = self.choose_ready() {
            self.fire(at, heard);
        }
        while let Ok(name) = self.signals.try_recv() {
            self.on_signal(name);
        }
        panics::unwatch();
        if !self.announced {
            self.announce();
        }
        if let Some(done) = done {
            console::afterwards(move || drop(done));
        }
    }

    /// After the exit: ends the process where it is bound to end and does not, and on a signal.
    fn see_to_the_end(&self) {
        let until = self.forced_at();
        if until.is_none() && !self.shared.events().signals {
            return;
        }
        loop {
            let signal = match until {
                None => self.signals.recv().ok(),
                Some(until) => self.signals.recv_deadline(until).ok(),
            };
            match signal {
                Some(name) => self.on_signal(name),
                None => self.end_by_force(None),
            }
        }
    }

    /// The next source that is ready, without waiting.
    fn choose_ready(&self) -> Chosen {
        let mut select = Select::new();
        for source in self.sources.iter() {
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

/// Says what `exit` made of it, or how things stand. For the console's thread.
fn say_outcome(shared: &Shared, made: Option<ExitReport>) {
    let came_to_exit = made.is_some();
    let Some(report) = made.or_else(|| shared.report_now()) else {
        return;
    };
    console::say_now(&report);
    if !came_to_exit && report.timeouts.is_empty() {
        console::say_now(&"The program is ended: main has not come to its exit in time");
    }
}
