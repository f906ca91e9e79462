//! The report says which quit source fired, with its message.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod common;

use std::error::Error;
use std::io;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded, never, unbounded};
use quitter::{ExitReport, MainQuitter, QuitCause, QuitSource};

use common::waits::until_all_others_sleep;
use common::{PATIENCE, alone};

/// A type that cannot be shown.
struct Opaque;

fn source(index: usize, description: &str, message: Option<&str>, closed: bool) -> QuitCause {
    QuitCause::Source {
        index,
        description: description.into(),
        message: message.map(Into::into),
        closed,
    }
}

/// The report of a program with one source, whose channel holds this message.
fn quit_by<T: Send + 'static>(message: T, source: fn(Receiver<T>) -> QuitSource) -> ExitReport {
    let (send, receive) = bounded(1);
    send.send(message).expect("there is room for one");
    MainQuitter::new(PATIENCE, [source(receive)]).exit()
}

fn channel<T: Send + 'static>(receiver: Receiver<T>) -> QuitSource {
    QuitSource::channel("admin", receiver)
}

#[test]
fn among_sources_of_different_types_the_one_that_fired_is_told() {
    let story = || {
        let (_a, numbers) = unbounded::<u64>();
        let (send, texts) = unbounded::<String>();
        let (_c, opaque) = unbounded::<Opaque>();
        let main = MainQuitter::new(
            PATIENCE,
            [
                QuitSource::os_signal(),
                QuitSource::channel("numbers", numbers),
                QuitSource::channel("texts", texts),
                QuitSource::channel("opaque", opaque),
            ],
        );
        send.send("enough".into()).unwrap();
        let report = main.exit();
        assert_eq!(report.cause, source(2, "texts", Some("enough"), false));
        assert_eq!(report.later_causes, []);
        report
    };
    alone(story)
        .end()
        .with_code(0)
        .saying(&["Received quit from 'texts': enough", "Quit: all"]);
}

#[test]
fn a_string_is_shown() {
    let story = || {
        let report = quit_by("stop", channel);
        assert_eq!(report.cause, source(0, "admin", Some("stop"), false));
    };
    alone(story).end().with_code(0);
}

#[test]
fn an_error_is_shown() {
    let story = || {
        let report = quit_by(io::Error::other("port in use"), channel);
        assert_eq!(report.cause, source(0, "admin", Some("port in use"), false));
    };
    alone(story).end().with_code(0);
}

#[test]
fn a_boxed_error_is_shown() {
    let story = || {
        let error = Box::<dyn Error + Send + Sync>::from("port in use");
        let report = quit_by(error, channel);
        assert_eq!(report.cause, source(0, "admin", Some("port in use"), false));
    };
    alone(story).end().with_code(0);
}

#[test]
fn a_message_without_a_text_of_its_own_is_shown_as_its_source_says() {
    let story = || {
        let shown = |receiver| QuitSource::channel_with("battery", receiver, |n| format!("{n} %"));
        let report = quit_by(7_u8, shown);
        assert_eq!(report.cause, source(0, "battery", Some("7 %"), false));
    };
    alone(story).end().with_code(0);
}

#[test]
fn a_message_with_a_text_of_its_own_is_shown_as_its_source_says_too() {
    let story = || {
        let shown = |receiver| {
            QuitSource::channel_with("login", receiver, |secret: &String| {
                "x".repeat(secret.len())
            })
        };
        let report = quit_by("secret".to_owned(), shown);
        assert_eq!(report.cause, source(0, "login", Some("xxxxxx"), false));
    };
    alone(story).end().with_code(0);
}

#[test]
fn a_message_that_cannot_be_shown_still_counts() {
    let story = || {
        let report = quit_by(Opaque, channel);
        assert_eq!(report.cause, source(0, "admin", None, false));
        report
    };
    alone(story)
        .end()
        .with_code(0)
        .saying(&["Received quit from 'admin'\n", "Quit: all"]);
}

#[test]
fn a_panic_while_a_message_is_shown_leaves_it_unshown() {
    let story = || {
        let shown = |receiver| QuitSource::channel_with("admin", receiver, |()| panic!("ugly"));
        let report = quit_by((), shown);
        assert_eq!(report.cause, source(0, "admin", None, false));
        report
    };
    alone(story).end().with_code(0);
}

/// std ends a process in which a thread panics with a payload whose drop panics.
#[test]
fn a_message_whose_drop_panics_with_a_payload_like_itself_harms_nobody() {
    struct Hostile(Sender<()>);
    impl Drop for Hostile {
        fn drop(&mut self) {
            let _ = self.0.send(());
            std::panic::resume_unwind(Box::new(Self(self.0.clone())));
        }
    }
    let story = || {
        let shown = |receiver| QuitSource::channel_with("admin", receiver, |_| "text".to_owned());
        let (tell, dropped) = unbounded();
        let report = quit_by(Hostile(tell), shown);
        assert_eq!(report.cause, source(0, "admin", Some("text"), false));
        dropped.recv_timeout(PATIENCE).unwrap();
        until_all_others_sleep();
        report
    };
    alone(story).end().with_code(0);
}

#[test]
fn a_description_can_be_replaced() {
    let story = || {
        let report = quit_by((), |receiver| channel(receiver).described("the boss"));
        assert_eq!(report.cause, source(0, "the boss", None, false));
    };
    alone(story).end().with_code(0);
}

#[test]
fn a_closed_channel_is_told_apart_from_a_message() {
    let story = || {
        let (send, receive) = bounded::<String>(1);
        let main = MainQuitter::new(PATIENCE, [channel(receive)]);
        drop(send);
        let report = main.exit();
        assert_eq!(report.cause, source(0, "admin", None, true));
        report
    };
    alone(story).end().with_code(0).saying(&[
        "Received quit from 'admin': the channel was closed",
        "Quit: all",
    ]);
}

#[test]
fn a_message_before_the_close_is_a_message() {
    let story = || {
        // `quit_by` drops the sender before `exit`.
        let (send, receive) = bounded(1);
        send.send("last words").unwrap();
        drop(send);
        let report = MainQuitter::new(PATIENCE, [channel(receive)]).exit();
        assert_eq!(report.cause, source(0, "admin", Some("last words"), false));
        assert_eq!(report.later_causes, []);
    };
    alone(story).end().with_code(0);
}

#[test]
fn an_added_source_has_the_next_index_and_fires() {
    let story = || {
        let main = MainQuitter::new(PATIENCE, [channel(never::<()>()), QuitSource::all_done()]);
        let (send, receive) = bounded(1);
        assert_eq!(main.add_source(channel(never::<u8>())), 2);
        assert_eq!(main.add_source(QuitSource::channel("late", receive)), 3);
        assert_eq!(main.add_source(channel(never::<i8>())), 4);

        send.send("here").unwrap();
        main.wait_quit();
        let report = main.exit();
        assert_eq!(report.cause, source(3, "late", Some("here"), false));
    };
    alone(story).end().with_code(0);
}

#[test]
fn an_event_is_seen_by_routines_while_main_still_works() {
    let story = || {
        let (send, receive) = bounded(1);
        let main = MainQuitter::new(PATIENCE, [channel(receive)]);
        let (tell, told) = bounded(1);
        let routine = move |q: &quitter::RoutineQuitter| {
            q.wait_quit();
            tell.send(q.quit_cause()).unwrap();
        };
        main.add_routine(routine).unwrap();

        send.send("stop").unwrap();
        // The routine learns of the quit before `exit` is called.
        let cause = told.recv_timeout(PATIENCE).unwrap();
        assert_eq!(cause, Some(source(0, "admin", Some("stop"), false)));
        main.exit()
    };
    alone(story).end().with_code(0);
}

#[test]
fn the_first_cause_is_kept_and_later_ones_are_listed() {
    let story = || {
        let (first, a) = bounded(1);
        let (second, b) = bounded(1);
        let (third, c) = bounded::<()>(1);
        let main = MainQuitter::new(PATIENCE, [channel(a), channel(b), channel(c)]);
        second.send("second").unwrap();
        main.wait_quit();
        first.send("first").unwrap();
        drop(third);

        let mut report = main.exit();
        assert_eq!(report.cause, source(1, "admin", Some("second"), false));
        report.later_causes.sort_by_key(ToString::to_string);
        assert_eq!(
            report.later_causes,
            [
                source(0, "admin", Some("first"), false),
                source(2, "admin", None, true)
            ]
        );
        report
    };
    alone(story).end().with_code(0).saying(&[
        "Received quit from 'admin': second",
        "Quit: all routines returned",
        "Later received quit from 'admin': first",
    ]);
}

/// Blocks the watcher, which formats the messages, for as long as it is held.
struct Hold {
    reached: Sender<()>,
    /// Blocks until the sender is dropped.
    released: Receiver<()>,
}

impl Hold {
    fn show(&self) -> String {
        let _ = self.reached.send(());
        let _ = self.released.recv_timeout(PATIENCE);
        "released".into()
    }
}

#[test]
fn of_many_sources_that_are_ready_at_once_none_is_lost() {
    let story = || {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..20).map(|_| bounded(1)).unzip();
        let main = MainQuitter::new(PATIENCE, receivers.into_iter().map(channel));
        let (hold, held) = bounded(1);
        // Sources are watched in the order in which they were added: once this one is watched, all are.
        main.add_source(QuitSource::channel_with("held", held, Hold::show));

        let (reached, until_reached) = bounded(1);
        let (release, released) = bounded(0);
        assert!(hold.send(Hold { reached, released }).is_ok());
        until_reached.recv_timeout(PATIENCE).unwrap();
        for sender in &senders {
            sender.send("ready").unwrap();
        }
        drop(release);

        let report = main.exit();
        assert_eq!(report.cause, source(20, "held", Some("released"), false));
        let mut later: Vec<_> = report.later_causes.iter().map(index_of).collect();
        later.sort_unstable();
        assert_eq!(later, (0..20).collect::<Vec<_>>());
    };
    alone(story).end().with_code(0);
}

fn index_of(cause: &QuitCause) -> usize {
    match cause {
        QuitCause::Source { index, .. } => *index,
        _ => panic!("{cause:?}"),
    }
}

#[test]
fn a_flooded_channel_does_not_starve_another() {
    let story = || {
        let (flood, flooded) = bounded(64);
        let (send, receive) = bounded(1);
        let sources = [
            QuitSource::channel("flood", flooded),
            QuitSource::channel("drop", receive),
        ];
        let main = MainQuitter::new(PATIENCE, sources);
        thread::spawn(move || while flood.send("more").is_ok() {});
        main.wait_quit();

        send.send("one").unwrap();
        let report = main.exit();
        assert_eq!(report.cause, source(0, "flood", Some("more"), false));
        assert_eq!(report.later_causes, [source(1, "drop", Some("one"), false)]);
    };
    alone(story).end().with_code(0);
}

#[test]
fn a_channel_fires_once_and_keeps_its_further_messages() {
    let story = || {
        let (send, receive) = unbounded();
        let main = MainQuitter::new(PATIENCE, [channel(receive.clone())]);
        for message in ["first", "second", "third"] {
            send.send(message).unwrap();
        }
        let report = main.exit();
        assert_eq!(report.cause, source(0, "admin", Some("first"), false));
        assert_eq!(report.later_causes, []);
        assert_eq!(receive.try_recv(), Ok("second"));
        assert_eq!(receive.try_recv(), Ok("third"));
        assert_eq!(receive.try_recv(), Err(TryRecvError::Empty));
    };
    alone(story).end().with_code(0);
}

#[test]
fn a_source_marked_as_failure_makes_the_exit_code_1() {
    let story = || quit_by("port in use", |receiver| channel(receiver).as_failure());
    alone(story).end().with_code(1).saying(&[
        "Received quit from 'admin': port in use",
        "Quit: all routines returned",
    ]);
}

#[test]
fn a_source_marked_as_failure_that_fires_later_makes_the_exit_code_1_too() {
    let story = || {
        let (send, receive) = bounded(1);
        let main = MainQuitter::new(PATIENCE, [channel(receive).as_failure()]);
        main.send_quit();
        send.send("on top of it").unwrap();
        main.exit()
    };
    alone(story)
        .end()
        .with_code(1)
        .saying(&["Later received quit from 'admin': on top of it"]);
}

#[test]
fn all_done_can_be_a_failure() {
    let story = || MainQuitter::new(PATIENCE, [QuitSource::all_done().as_failure()]).exit();
    alone(story).end().with_code(1);
}

#[test]
fn all_done_leaves_a_program_that_quits_for_another_reason_alone() {
    let story = || {
        let (send, receive) = bounded(1);
        let sources = [QuitSource::all_done(), channel(receive)];
        let main = MainQuitter::new(PATIENCE, sources);
        main.add_routine(|q| q.sleep(Duration::MAX)).unwrap();
        send.send("stop").unwrap();
        let report = main.exit();
        assert_eq!(report.cause, source(1, "admin", Some("stop"), false));
        assert_eq!(report.later_causes, []);
    };
    alone(story).end().with_code(0);
}
