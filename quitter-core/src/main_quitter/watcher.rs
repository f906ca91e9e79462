//! The thread that watches the channels among the quit sources, from the moment the main quitter is created,
//! and does what is due at a certain time: it reports which routines are waited for, and ends a process that
//! does not end by itself.
//!
//! Nothing may block it: it runs no user code, not even a waker, takes no lock of std's streams, and writes
//! nothing. The console's thread writes for it, and a thread of its own shows each message. It also drops no
//! receiver: dropping the last one drops the messages in the channel.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Select, never};

use crate::main_quitter::channel::{ChannelEvent, keep, text_within};
use crate::main_quitter::control::{Control, Listening};
use crate::main_quitter::ending::Ending;
use crate::main_quitter::forced::{self, Trigger};
use crate::main_quitter::state::Look;
use crate::report::console;
use crate::report::notice::Notice;
use crate::report::picture::Picture;
use crate::report::waiting::WaitingLines;
use crate::routine::panics_in_hooks;
use crate::stands::own;
use crate::{trace, tree};

/// How long showing all messages may take in total. After that, the watcher does without their texts.
const MESSAGES_SHOWN: Duration = Duration::from_millis(100);

/// The duties of the watcher besides watching.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WatcherConfig {
    /// Whether to report which routines are waited for.
    pub(crate) progress_lines: bool,
    /// When to say that registered routines wait for the body of `main`.
    pub(crate) hint_at: Option<Instant>,
}

pub(crate) struct Watcher {
    ending: Arc<Ending>,
    control: Receiver<Control>,
    channels: Vec<Listening>,
    /// The time left to show messages.
    to_show: Duration,
    /// Whether the watcher knows that the root quits.
    knows_quit: bool,
    looked_at_half: bool,
    looked_at_deadline: bool,
    progress: Option<WaitingLines>,
    /// Drawn instead of these lines, where that is possible.
    picture: Option<Picture>,
    /// When to look for routines whose panic hooks do not return.
    panics_at: Option<Instant>,
    config: WatcherConfig,
}

/// A receiver in the select.
#[derive(Clone, Copy)]
enum Watched {
    Control,
    Quit,
    Channel(usize),
}

/// The event that was selected.
enum Chosen {
    Control(Control),
    Quit,
    Channel(usize, ChannelEvent),
    Time,
}

impl Watcher {
    pub(crate) fn new(
        ending: Arc<Ending>,
        control: Receiver<Control>,
        config: WatcherConfig,
    ) -> Self {
        Self {
            ending,
            control,
            channels: Vec::new(),
            to_show: MESSAGES_SHOWN,
            knows_quit: false,
            looked_at_half: false,
            looked_at_deadline: false,
            progress: None,
            picture: None,
            panics_at: None,
            config,
        }
    }

    pub(crate) fn run(mut self) {
        trace::this_thread_never_waits();
        let _own = own::mark();
        tree::call_no_wakers();
        loop {
            match self.choose(self.next_time()) {
                Chosen::Control(Control::Add(channel)) => self.channels.push(channel),
                Chosen::Control(Control::LookAtPanics(at)) => self.panics_at = Some(at),
                Chosen::Control(Control::ListTheLast(_done)) => self.list_the_last(),
                Chosen::Control(Control::End) => return,
                Chosen::Quit => self.on_quit(),
                Chosen::Channel(at, event) => self.fire(at, event),
                Chosen::Time => self.on_time(),
            }
        }
    }

    /// Waits for whichever event comes first, with a fair choice among those that are ready (rule 11).
    fn choose(&self, until: Option<Instant>) -> Chosen {
        let quit = match self.knows_quit {
            true => &never(),
            false => self.ending.root().quit_chan(),
        };
        let mut select = Select::new();
        // In the order in which the select numbers its operations.
        let mut watched = vec![Watched::Control, Watched::Quit];
        select.recv(&self.control);
        select.recv(quit);
        for (at, listening) in self.channels.iter().enumerate() {
            listening.channel.add_to(&mut select);
            watched.push(Watched::Channel(at));
        }
        let operation = match until {
            None => select.select(),
            Some(until) => match select.select_deadline(until) {
                Ok(operation) => operation,
                Err(_) => return Chosen::Time,
            },
        };
        match watched[operation.index()] {
            Watched::Control => {
                let control = operation.recv(&self.control);
                Chosen::Control(control.expect("the watcher itself holds a sender"))
            }
            Watched::Quit => {
                let _closed = operation.recv(quit);
                Chosen::Quit
            }
            Watched::Channel(at) => {
                Chosen::Channel(at, self.channels[at].channel.receive(operation))
            }
        }
    }

    /// Reports the event of a channel. A source fires once, so the channel is no longer watched.
    fn fire(&mut self, at: usize, event: ChannelEvent) {
        let Listening { info, channel } = self.channels.swap_remove(at);
        keep(channel);
        let cause = match event {
            ChannelEvent::Text(text) => info.fired(Some(text)),
            ChannelEvent::Message(message) => {
                let from = Instant::now();
                let text = text_within(message, self.to_show);
                self.to_show = self.to_show.saturating_sub(from.elapsed());
                info.fired(text)
            }
            ChannelEvent::Closed => info.closed(),
        };
        self.ending.fire(cause, console::wake);
    }

    fn on_quit(&mut self) {
        self.knows_quit = true;
        self.config.hint_at = None;
        self.ending.try_announce();
        if self.config.progress_lines
            && let Some(quit) = self.ending.root().node().quit_info()
        {
            self.picture = Picture::start(quit.at);
            let lines = || WaitingLines::new(quit.at);
            self.progress = self.picture.is_none().then(lines);
        }
    }

    /// When something is due next. After the exit, only an end by force and the check of panic hooks are.
    fn next_time(&self) -> Option<Instant> {
        let always = [self.ending.forced_at(), self.panics_at];
        let progress = self.progress.as_ref().map(WaitingLines::next);
        let picture = self.picture.as_ref().map(Picture::next);
        let looks = [self.half_at(), self.look_at()];
        let before_exit = [self.config.hint_at, progress, picture]
            .into_iter()
            .chain(looks);
        let before_exit = before_exit.filter(|_| !self.ending.is_over());
        always.into_iter().chain(before_exit).flatten().min()
    }

    /// When to look for slow routines: once, at half of the quit timeout.
    fn half_at(&self) -> Option<Instant> {
        let awaited = self.knows_quit && !self.looked_at_half;
        awaited.then(|| self.ending.half_at()).flatten()
    }

    /// When to look for live routines: once, at the deadline.
    fn look_at(&self) -> Option<Instant> {
        let awaited = self.knows_quit && !self.looked_at_deadline;
        awaited.then(|| self.ending.root().deadline()).flatten()
    }

    fn on_time(&mut self) {
        let is_due = |time: Option<Instant>| time.is_some_and(|time| time <= Instant::now());
        if is_due(self.ending.forced_at()) {
            forced::end(&self.ending, Trigger::Deadline);
        }
        if is_due(self.panics_at) {
            self.panics_at = panics_in_hooks::fail_those_due();
        }
        if self.ending.is_over() {
            return;
        }
        if is_due(self.half_at()) {
            self.looked_at_half = true;
            self.ending.look_at_half();
        }
        if is_due(self.look_at()) {
            self.looked_at_deadline = true;
            self.ending.look_at_deadline();
        }
        if is_due(self.progress.as_ref().map(WaitingLines::next)) {
            self.say_progress();
        }
        if is_due(self.picture.as_ref().map(Picture::next)) {
            self.draw();
        }
        if is_due(self.config.hint_at) {
            self.config.hint_at = None;
            self.say_what_waits_for_the_body();
        }
    }

    fn say_progress(&mut self) {
        let Look { live, unread } = self.ending.look();
        let Some(progress) = &mut self.progress else {
            return;
        };
        match unread.is_empty() {
            true => progress.say(live, self.ending.root().deadline()),
            // Routines that could not be read would pass for returned.
            false => progress.skip(),
        }
    }

    fn draw(&mut self) {
        let Look { live, unread } = self.ending.look();
        if let Some(picture) = &mut self.picture {
            // Routines that could not be read would pass for returned.
            let live = unread.is_empty().then_some(live);
            picture.draw(live, self.ending.root().deadline());
        }
    }

    fn say_what_waits_for_the_body(&self) {
        let state = self.ending.try_state();
        if state.is_some_and(|state| !state.routines_started) {
            console::say(Notice::Hint(
                "The body of main still runs, and registered routines wait for its end. If it is \
                 the foreground work, use start = \"before_body\" or main.start_routines()"
                    .into(),
            ));
        }
    }

    /// Lists the events that channels hold when the main quitter exits. After that, no channel is watched.
    fn list_the_last(&mut self) {
        while let Some((at, event)) = self.choose_ready() {
            self.fire(at, event);
        }
        self.keep_channels();
    }

    fn keep_channels(&mut self) {
        let channels = self.channels.drain(..).map(|listening| listening.channel);
        channels.for_each(keep);
    }

    /// The next channel that is ready, without waiting.
    fn choose_ready(&self) -> Option<(usize, ChannelEvent)> {
        let mut select = Select::new();
        for listening in self.channels.iter() {
            listening.channel.add_to(&mut select);
        }
        let operation = select.try_select().ok()?;
        let at = operation.index();
        Some((at, self.channels[at].channel.receive(operation)))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.keep_channels();
    }
}
