//! Requests to the watcher.

use std::convert::Infallible;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender};

use crate::main_quitter::source::{Listen, SourceInfo};

/// A request of the main quitter to its watcher.
pub(crate) enum Control {
    /// Watch this channel, too.
    Add(Listening),
    /// Record the panics whose hooks do not return. The channel says when to look for some.
    WatchPanics(Receiver<Instant>),
    /// The main quitter exits: list what has come by now from channels, then drop the sender.
    ListTheLast(Sender<Infallible>),
    /// The main quitter could not be created: the thread ends.
    End,
}

/// A channel that is listened to.
pub(crate) struct Listening {
    pub(crate) info: SourceInfo,
    pub(crate) channel: Box<dyn Listen>,
}
