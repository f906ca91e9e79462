//! The response to a signal.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::main_quitter::ending::{Effect, Ending};
use crate::main_quitter::forced::{self, Trigger};
use crate::main_quitter::signal::QuitSignal;
use crate::report::console;
use crate::report::notice::Notice;
use crate::tree;

/// How long a program that has had its exit may take to end by itself, with its own exit code, if the first
/// signal only comes then.
const ENDS_BY_ITSELF: Duration = Duration::from_millis(500);

/// Handles a signal, on the thread that receives the signals. Nothing may hold up that thread, or a second
/// signal would not be handled.
pub(crate) fn on_signal(ending: &Arc<Ending>, signal: QuitSignal) {
    tree::call_no_wakers();
    if ending.takes_for_dump(signal) {
        return;
    }
    match ending.effect_of(signal) {
        Effect::Nothing => {}
        Effect::EndsProcess { is_first } => {
            if is_first {
                // A second signal is not handled meanwhile, but the process ends after this anyway.
                thread::sleep(ENDS_BY_ITSELF);
            }
            forced::end(ending, Trigger::Signal(signal));
        }
        Effect::Fires { source, warns } => {
            if warns {
                // The thread that told the tree to quit may not have announced that yet.
                ending.try_announce();
                console::say(Notice::SignalWhileQuitting {
                    signal: signal.name.into(),
                    ends: false,
                });
            }
            let cause = source.fired(Some(signal.name.to_owned()));
            ending.fire(cause, console::write_here);
        }
    }
}
