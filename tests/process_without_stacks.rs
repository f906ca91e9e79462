//! Without the feature `stacks`, a report on hanging threads says what would show more.

#![cfg(all(
    not(feature = "stacks"),
    target_os = "linux",
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod common;

use std::time::Duration;

use quitter::{ExitReport, MainQuitter, MainQuitterBuilder, QuitSource};

use common::{Ended, alone, hang};

const HINT: &str =
    "For the lines on which these threads hang, build with quitter's feature \"stacks\"";

fn builder() -> MainQuitterBuilder {
    let builder = MainQuitter::builder().timeout(Duration::from_millis(300));
    builder.signals(false).source(QuitSource::all_done())
}

#[track_caller]
fn ends_with_the_hint(ended: &Ended) {
    assert_eq!(ended.stderr.lines().last(), Some(HINT), "{}", ended.stderr);
    assert_eq!(ended.count(HINT), 1, "{}", ended.stderr);
}

#[test]
fn the_last_line_of_a_report_of_threads_that_hang_names_the_feature() {
    let program = alone(|| -> ExitReport {
        let main = builder().build();
        main.routine("hangs").add(|_| hang()).unwrap();
        // Gives the report more lines.
        main.routine("fails")
            .add(|_| Err::<(), _>("no space left"))
            .unwrap();
        main.request_quit("enough");
        main.exit()
    });
    let ended = program.end().with_code(1);
    ends_with_the_hint(&ended.saying(&["no space left", "Failed to quit: 1 routine"]));
}

#[test]
fn so_does_that_of_an_end_by_force() {
    let program = alone(|| -> ExitReport {
        builder().run(|main| -> () {
            main.routine("hangs").add(|_| hang()).unwrap();
            main.send_quit();
            hang();
        })
    });
    let ended = program.end().with_code(1);
    ends_with_the_hint(&ended.saying(&["Failed to quit: 2 routines"]));
}

#[test]
fn a_report_without_threads_does_not() {
    let program = alone(|| -> ExitReport {
        let main = builder().build();
        let _guard = main.guard("guard").unwrap();
        main.send_quit();
        main.exit()
    });
    let ended = program.end().with_code(1);
    assert_eq!(ended.count("feature"), 0, "{}", ended.stderr);
}
