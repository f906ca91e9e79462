//! The channels among the quit sources: how their events are received, and how their messages are shown.

use std::any::Any;
use std::borrow::Cow;
use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use crossbeam_channel::{Receiver, Select, SelectedOperation, bounded};

use crate::error::full_text;
use crate::report::timeouts::Timeouts;
use crate::routine::panics;
use crate::sync::lock_std;
use crate::threads;

/// The event of a channel.
pub(crate) enum ChannelEvent {
    /// A string.
    Text(String),
    /// Another message. Showing or dropping it may run user code.
    Message(Box<dyn Shown>),
    Closed,
}

/// The receiver of a quit source, whatever the type of its messages.
pub(crate) trait Listen: Send {
    /// Adds the receiver to a select.
    fn add_to<'a>(&'a self, select: &mut Select<'a>) -> usize;
    /// Completes the operation that the select has chosen. Runs no user code.
    fn receive(&self, operation: SelectedOperation<'_>) -> ChannelEvent;
}

/// Receivers that are no longer watched. They are never dropped: dropping the last receiver of a channel
/// drops the messages in it, which runs user code that may block. A static, so that leak checkers do not
/// complain.
static KEPT: Mutex<Vec<Box<dyn Listen>>> = Mutex::new(Vec::new());

/// Puts a receiver away without dropping it.
pub(crate) fn keep(channel: Box<dyn Listen>) {
    lock_std(&KEPT).push(channel);
}

/// A message and the function that shows it. Both are user code: they may panic or block.
pub(crate) trait Shown: Send {
    fn text(&self) -> Option<String>;
}

/// Shows and drops `message` on a thread of its own, and waits for the text for up to `timeout`. Returns
/// `None` if there is no text by then. If the thread is refused, the message is leaked: its drop may block.
pub(crate) fn text_within(message: Box<dyn Shown>, timeout: Duration) -> Option<String> {
    // The text is not sent over the channel: that would add 15 KB of code for each type of message.
    let (showing, is_shown) = bounded::<Infallible>(0);
    let text = Arc::new(OnceLock::new());
    let shown = Arc::clone(&text);
    let show = move |message: Box<dyn Shown>| {
        let text = panics::catch(|| message.text(), |_| ());
        let _ = text.flatten().map(|text| shown.set(text));
        drop(showing);
        panics::drop_quietly(message);
    };
    let started = threads::start_with("quitter message", message, show);
    if let Err((message, _refused)) = started {
        std::mem::forget(message);
        return None;
    }
    let _closed = is_shown.recv_timeout(timeout);
    text.get().cloned()
}

/// A receiver and the function that shows its messages.
struct Channel<T, S> {
    receiver: Receiver<T>,
    /// Whether strings are taken as they are, without `show`.
    plain: bool,
    show: S,
}

/// A receiver whose messages are shown if [`shown_by_type`] knows their type.
pub(super) fn by_type<T: Send + 'static>(receiver: Receiver<T>) -> Box<dyn Listen> {
    Box::new(Channel {
        receiver,
        plain: true,
        show: shown_by_type,
    })
}

pub(super) fn shown_by<T: Send + 'static>(
    receiver: Receiver<T>,
    show: fn(&T) -> String,
) -> Box<dyn Listen> {
    Box::new(Channel {
        receiver,
        plain: false,
        show: move |message: &T| Some(show(message)),
    })
}

struct Message<T, S> {
    message: T,
    show: S,
}

impl<T: Send, S: Fn(&T) -> Option<String> + Send> Shown for Message<T, S> {
    fn text(&self) -> Option<String> {
        (self.show)(&self.message)
    }
}

impl<T, S> Listen for Channel<T, S>
where
    T: Send + 'static,
    S: Fn(&T) -> Option<String> + Copy + Send + 'static,
{
    fn add_to<'a>(&'a self, select: &mut Select<'a>) -> usize {
        select.recv(&self.receiver)
    }

    fn receive(&self, operation: SelectedOperation<'_>) -> ChannelEvent {
        // For crossbeam a closed channel is ready, too: only the completed operation tells the two apart.
        let Ok(message) = operation.recv(&self.receiver) else {
            return ChannelEvent::Closed;
        };
        match self.plain.then(|| plain_text(&message)).flatten() {
            Some(text) => ChannelEvent::Text(text),
            None => ChannelEvent::Message(Box::new(Message {
                message,
                show: self.show,
            })),
        }
    }
}

fn text_of<M: ToString + 'static>(message: &dyn Any) -> Option<String> {
    message.downcast_ref::<M>().map(ToString::to_string)
}

/// The text of a string. No user code runs when a string is shown or dropped.
fn plain_text<T: 'static>(message: &T) -> Option<String> {
    text_of::<String>(message).or_else(|| text_of::<&'static str>(message))
}

/// Shows strings and errors. `T` need not implement `Display`, so its type is compared.
fn shown_by_type<T: 'static>(message: &T) -> Option<String> {
    type BoxSync = Box<dyn Error + Send + Sync>;
    type BoxSend = Box<dyn Error + Send>;
    type Shared = Arc<dyn Error + Send + Sync>;
    let shown: &[fn(&dyn Any) -> Option<String>] = &[
        |message| Some(full_text(&**message.downcast_ref::<BoxSync>()?)),
        |message| Some(full_text(&**message.downcast_ref::<BoxSend>()?)),
        |message| Some(full_text(&**message.downcast_ref::<Shared>()?)),
        text_of::<String>,
        text_of::<&'static str>,
        text_of::<Cow<'static, str>>,
        text_of::<Box<str>>,
        text_of::<Arc<str>>,
        text_of::<io::Error>,
        text_of::<fmt::Error>,
        text_of::<std::num::ParseIntError>,
        text_of::<std::str::Utf8Error>,
        text_of::<std::string::FromUtf8Error>,
        text_of::<std::sync::mpsc::RecvError>,
        text_of::<crossbeam_channel::RecvError>,
        text_of::<Timeouts>,
    ];
    shown.iter().find_map(|show| show(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_errors_are_shown_and_other_types_are_not() {
        let boxed: Box<dyn Error + Send + Sync> = "boxed".into();
        assert_eq!(shown_by_type(&"text").as_deref(), Some("text"));
        assert_eq!(
            shown_by_type(&String::from("text")).as_deref(),
            Some("text")
        );
        assert_eq!(shown_by_type(&boxed).as_deref(), Some("boxed"));
        let boxed: Box<dyn Error + Send> = Box::new(fmt::Error);
        assert_eq!(shown_by_type(&boxed), Some(fmt::Error.to_string()));
        let shared: Arc<dyn Error + Send + Sync> = Arc::new(fmt::Error);
        assert_eq!(shown_by_type(&shared), Some(fmt::Error.to_string()));
        assert_eq!(
            shown_by_type(&io::Error::other("io")).as_deref(),
            Some("io")
        );
        assert_eq!(shown_by_type(&7), None);
    }
}
