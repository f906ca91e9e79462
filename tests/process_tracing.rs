//! A program with a tracing subscriber, from its first event to its end, whatever the subscriber does.

#![cfg(all(unix, feature = "tracing"))]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod common;
#[expect(dead_code, reason = "each test binary uses a part of it")]
#[path = "common/stories.rs"]
mod stories;
#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../quitter-core/tests/common/subscriber.rs"]
mod subscriber;

use std::io;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal::SIGTERM;
use quitter::{End, ExitReport, MainQuitter, MainQuitterBuilder, Output, QuitSource};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{set_global_default, with_default};
use tracing::{Event, Metadata, Subscriber};

use common::{PATIENCE, alone, hang};
use stories::forced;
use subscriber::Capture;

fn builder() -> MainQuitterBuilder {
    let builder = MainQuitter::builder().timeout(Duration::from_millis(300));
    builder.source(QuitSource::all_done())
}

/// Prints each event on stdout.
fn prints() -> Capture {
    Capture::telling(|entry| println!("event: {entry}"))
}

/// Prints the events of the program, and leaves out those of quitter, as a filter for `store=info` does.
struct LeavesQuitterOut(Capture);

impl Subscriber for LeavesQuitterOut {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() != "quitter"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.0.new_span(span)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.0.event(event);
    }

    fn enter(&self, span: &Id) {
        self.0.enter(span);
    }

    fn exit(&self, span: &Id) {
        self.0.exit(span);
    }
}

/// Never returns from an event that comes later than the start of the body.
fn hangs() -> Capture {
    let is_early = |text: &str| text.starts_with("routine ");
    Capture::telling(move |entry| {
        if !is_early(&entry.text) {
            hang()
        }
    })
}

/// A program that ends as it should.
fn clean(builder: MainQuitterBuilder) -> ExitReport {
    builder.timeout(PATIENCE).run(|_| {})
}

#[test]
fn a_program_whose_output_is_tracing_leaves_stderr_silent() {
    let story = || {
        set_global_default(prints()).unwrap();
        clean(builder().output(Output::Tracing))
    };
    let ended = alone(story).end().with_code(0);
    assert_eq!(ended.stderr, "");
    let said = [
        "event: INFO told to quit cause='all routines done' path=main []\n",
        "event: INFO exit cause='all routines done' exit_code=0 failed=0 slow=0 stuck=0 took_ms=",
    ];
    let mut rest = &ended.stdout[..];
    for said in said {
        let at = rest.find(said);
        rest = &rest[at.unwrap_or_else(|| panic!("no {said:?} in {}", ended.stdout))..];
    }
}

#[test]
fn a_stuck_routine_is_an_event_with_its_facts() {
    let story = || {
        set_global_default(prints()).unwrap();
        // Not with `run`, whose end by force may come first on a busy machine, and write to stderr.
        let main = builder().output(Output::Tracing).build();
        main.routine("hangs").add(|_| hang()).unwrap();
        main.send_quit();
        main.exit()
    };
    let ended = alone(story).end().with_code(1);
    assert_eq!(ended.stderr, "");
    let stuck = ended
        .stdout
        .lines()
        .find(|line| line.contains("routine stuck"));
    let stuck = stuck.unwrap_or_else(|| panic!("{}", ended.stdout));
    assert!(stuck.starts_with("event: ERROR "), "{stuck}");
    assert!(
        stuck.contains("name=hangs path=main running_ms="),
        "{stuck}"
    );
    assert!(stuck.contains("never asked its quitter"), "{stuck}");
    assert!(
        ended.stdout.contains("event: ERROR exit "),
        "{}",
        ended.stdout
    );
}

#[test]
fn a_hook_that_hangs_is_an_event() {
    let story = || {
        set_global_default(prints()).unwrap();
        let builder = builder().before_report(|| hang());
        clean(builder.output(Output::Tracing))
    };
    let ended = alone(story).end().with_code(0);
    assert_eq!(ended.stderr, "");
    let event = "event: WARN before_report had not returned after 100 ms, and";
    assert_eq!(ended.stdout.matches(event).count(), 1, "{}", ended.stdout);
}

#[test]
fn beside_a_subscriber_stderr_gets_what_it_always_got() {
    let story = || {
        set_global_default(prints()).unwrap();
        clean(builder())
    };
    let ended = alone(story).end().with_code(0);
    assert!(
        ended.stdout.contains("event: INFO exit "),
        "{}",
        ended.stdout
    );
    ended.saying(&[
        "Received quit from 'all routines done'",
        "Quit: all routines returned",
    ]);
}

#[test]
fn a_subscriber_of_the_thread_that_made_the_main_quitter_gets_its_events() {
    let story = || with_default(prints(), || clean(builder().output(Output::Tracing)));
    let ended = alone(story).end().with_code(0);
    assert!(
        ended.stdout.contains("event: INFO told to quit "),
        "{}",
        ended.stdout
    );
}

#[test]
fn a_subscriber_that_the_body_sets_reaches_routines_that_were_started_before() {
    let story = || {
        let builder = builder().end(End::WithBody).timeout(PATIENCE);
        builder.run(|main| {
            let (set, is_set) = crossbeam_channel::bounded::<()>(0);
            main.routine("early")
                .add(move |_| {
                    let _ = is_set.recv();
                    tracing::info!("from the early routine");
                })
                .unwrap();
            set_global_default(prints()).unwrap();
            drop(set);
        })
    };
    let ended = alone(story).end().with_code(0);
    let early = "event: INFO from the early routine";
    assert!(ended.stdout.contains(early), "{}", ended.stdout);
}

#[test]
fn without_a_subscriber_the_outcome_is_written() {
    let story = || clean(builder().output(Output::Tracing));
    let ended = alone(story).end().with_code(0);
    ended.saying(&["Quit: all routines returned"]);
}

#[test]
fn where_a_filter_leaves_quitter_out_an_error_is_written() {
    let story = || {
        set_global_default(LeavesQuitterOut(prints())).unwrap();
        let builder = builder().output(Output::Tracing).timeout(PATIENCE);
        builder.run(|_| Err::<(), _>(io::Error::other("no such port")))
    };
    let ended = alone(story).end().with_code(1);
    assert_eq!(ended.stderr, "Error: no such port\n");
    assert!(!ended.stdout.contains("event: "), "{}", ended.stdout);
}

#[test]
fn where_a_filter_leaves_quitter_out_a_clean_end_is_silent() {
    let story = || {
        set_global_default(LeavesQuitterOut(prints())).unwrap();
        clean(builder().output(Output::Tracing))
    };
    let ended = alone(story).end().with_code(0);
    assert_eq!(ended.stderr, "");
}

#[test]
fn where_the_subscriber_hangs_the_outcome_is_written_and_the_end_is_in_time() {
    let from = Instant::now();
    let story = || {
        set_global_default(hangs()).unwrap();
        clean(builder().output(Output::Tracing))
    };
    let ended = alone(story).end().with_code(0);
    ended.saying(&["Quit: all routines returned"]);
    assert!(from.elapsed() < PATIENCE / 2);
}

#[test]
fn the_report_of_an_end_by_force_is_written_though_a_subscriber_gets_it() {
    let story = || {
        set_global_default(prints()).unwrap();
        forced(builder().output(Output::Tracing))
    };
    let ended = alone(story).end().with_code(1);
    assert!(
        ended.stdout.contains("event: ERROR exit "),
        "{}",
        ended.stdout
    );
    ended.saying(&["Failed to quit: 1 routine", "main"]);
}

#[test]
fn an_end_by_force_does_not_depend_on_a_subscriber() {
    let from = Instant::now();
    let story = || {
        set_global_default(hangs()).unwrap();
        forced(builder().output(Output::Tracing))
    };
    let ended = alone(story).end().with_code(1);
    ended.saying(&["Failed to quit: 1 routine", "main"]);
    assert!(from.elapsed() < PATIENCE / 2);
}

#[test]
fn a_second_signal_ends_a_program_whose_subscriber_hangs() {
    let story = || {
        set_global_default(hangs()).unwrap();
        let builder = builder()
            .timeout(Duration::MAX)
            .source(QuitSource::os_signal());
        builder.run(|main| -> () {
            main.routine("listener")
                .add(|q| {
                    println!("listening");
                    q.wait_quit();
                    println!("told");
                })
                .unwrap();
            hang()
        })
    };
    let mut program = alone(story);
    program.wait_for("listening");
    program.send(SIGTERM);
    program.wait_for("told");
    program.send_later(SIGTERM);
    program
        .end()
        .with_code(130)
        .saying(&["ending now", "Failed to quit"]);
}
