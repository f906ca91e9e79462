//! Requests to the watcher.

use std::convert::Infallible;
use std::time::Instant;

use crossbeam_channel::Sender;

use crate::main_quitter::channel::Listen;
use crate::main_quitter::source::SourceInfo;

/// A request from the main quitter to its watcher.
pub(crate) enum Control {
    /// Watch this channel, too.
    Add(Listening),
    /// At this time, record the panics whose hooks have not returned.
    LookAtPanics(Instant),
    /// The main quitter exits: list the events that channels hold by now, then drop the sender.
    ListTheLast(Sender<Infallible>),
    /// The main quitter could not be created: end the thread.
    End,
}

/// A channel that is listened to.
pub(crate) struct Listening {
    pub(crate) info: SourceInfo,
    pub(crate) channel: Box<dyn Listen>,
}
