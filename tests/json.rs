//! The JSON has the documented shape.

#![cfg(unix)]

#[allow(dead_code, reason = "each test binary uses a part of it")]
mod common;

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::{Signal, raise};
use quitter::{
    FailureKind, MainQuitter, Notice, OnFailure, QuitCause, QuitSource, Quitter, RoutineKind,
    RoutineState, Stands, StuckRoutine,
};
use serde_json::{Value, to_value};

use common::waits::eventually;
use common::{PATIENCE, alone};

/// The JSON blocks of the guide.
fn documented() -> Vec<Value> {
    let page = include_str!("../src/guide/json.md");
    let blocks = page.split("```json\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap());
    blocks
        .map(|block| serde_json::from_str(block).unwrap_or_else(|error| panic!("{error}: {block}")))
        .collect()
}

/// Whether the system tells what threads are blocked in.
const STANDS: bool = cfg!(target_os = "linux");

/// Keys whose values differ from run to run.
const VARYING: [&str; 12] = [
    "id",
    "os_id",
    "pid",
    "waiting",
    "spawned_at",
    "at",
    "place",
    "running_for",
    "told_for",
    "time_left",
    "ran_for",
    "took",
];

/// Asserts that both values are equal, except that under [`VARYING`] keys only the types have to agree. `at`
/// is the path to the values, for messages.
#[track_caller]
fn assert_alike(at: &str, documented: &Value, real: &Value) {
    match (documented, real) {
        (Value::Object(documented), Value::Object(real)) => {
            let keys = |object: &serde_json::Map<_, _>| -> Vec<String> {
                object.keys().map(ToString::to_string).collect()
            };
            assert_eq!(keys(documented), keys(real), "keys of {at}");
            for (key, value) in documented {
                assert_alike(&format!("{at}.{key}"), value, &real[key]);
            }
        }
        (Value::Array(documented), Value::Array(real)) => {
            assert_eq!(documented.len(), real.len(), "length of {at}");
            for (i, (documented, real)) in documented.iter().zip(real).enumerate() {
                assert_alike(&format!("{at}[{i}]"), documented, real);
            }
        }
        (Value::Number(documented), Value::Number(real)) if varies(at) => {
            assert_eq!(documented.is_f64(), real.is_f64(), "{at}");
        }
        (Value::String(documented), Value::String(real)) if varies(at) => {
            assert!(is_place(documented) && is_place(real), "{at}: {real}");
        }
        _ => assert_eq!(documented, real, "{at}"),
    }
}

fn varies(at: &str) -> bool {
    let key = at.rsplit('.').next().unwrap();
    VARYING.contains(&key) || key == "ago"
}

/// Whether `text` has the form `file:line:column`.
fn is_place(text: &str) -> bool {
    let parts: Vec<_> = text.rsplitn(3, ':').collect();
    parts.len() == 3
        && parts[2].ends_with(".rs")
        && parts[..2]
            .iter()
            .all(|number| number.parse::<u32>().is_ok())
}

/// An error with a source.
#[derive(Debug)]
struct Caused;

#[derive(Debug)]
struct Cause;

impl fmt::Display for Caused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot read the index")
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no such file")
    }
}

impl std::error::Error for Caused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&Cause)
    }
}

impl std::error::Error for Cause {}

#[test]
fn a_snapshot_has_the_documented_shape() {
    let main = Quitter::root("main");
    let heartbeat = main.routine("heartbeat").add(|q| {
        let _ = q.sleep(Duration::MAX);
    });
    heartbeat.unwrap();
    let index = main.routine("index").on_failure(OnFailure::FailAtExit);
    let index = index.add(|_| Err::<(), _>(Caused)).unwrap();
    index.wait(PATIENCE).unwrap();
    let db = main.child("db").unwrap();
    let store = db.child("store").unwrap();
    let flusher = store.guard("flusher").unwrap();
    flusher.set_status("flushing 3/10");
    let _ = db.quit_and_wait(Duration::ZERO);
    // Waits until the heartbeat sleeps.
    let stands = |routine: &StuckRoutine| {
        let stands = routine.stands.as_ref().map(ToString::to_string);
        stands.as_deref() == Some("blocked in futex (a lock or condition)")
    };
    eventually(|| {
        let snapshot = main.snapshot();
        let heartbeat = &snapshot.quitters[0].routines[0];
        let sleeps = heartbeat.state == RoutineState::Running && heartbeat.last_seen.is_some();
        sleeps && stands(heartbeat) == STANDS
    });
    let snapshot = to_value(main.snapshot()).unwrap();
    let mut documented = documented().swap_remove(0);
    if !STANDS {
        documented["quitters"][0]["routines"][0]["stands"] = Value::Null;
    }
    assert_alike("snapshot", &documented, &snapshot);
    main.send_quit();
}

#[test]
fn what_threads_stand_on_has_the_documented_shape() {
    let blocked = Stands::Blocked {
        call: "accept4".into(),
        on: Some("fd 7, TCP 127.0.0.1:8080".into()),
    };
    let cpu = Duration::from_micros(19_600);
    let running = Stands::Running { cpu };
    let stands = [blocked, running, Stands::Suspended, Stands::Unknown];
    assert_alike("stands", &documented()[2], &to_value(stands).unwrap());
}

#[cfg(all(
    feature = "stacks",
    target_os = "linux",
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
#[test]
fn a_stack_has_the_documented_shape() {
    let main = Quitter::root("main");
    main.routine("waits").add(|q| q.wait_quit()).unwrap();
    let mut stack = Value::Null;
    eventually(|| {
        let snapshot = to_value(main.snapshot_with_stacks()).unwrap();
        stack = snapshot["quitters"][0]["routines"][0]["stacks"][0].clone();
        !stack.is_null()
    });
    let keys = |value: &Value| -> Vec<String> {
        let object = value.as_object().expect("an object");
        object.keys().cloned().collect()
    };
    let documented = &documented()[3];
    assert_eq!(keys(documented), keys(&stack));
    assert_eq!(keys(&documented["frames"][0]), keys(&stack["frames"][0]));
    main.send_quit();
}

#[test]
fn kinds_of_routines_and_of_failures_have_the_documented_shape() {
    let thread = to_value(RoutineKind::Thread { os_id: 1 }).unwrap();
    let process = to_value(RoutineKind::Process { pid: 1 }).unwrap();
    let [task, guard] = [RoutineKind::Task, RoutineKind::Guard].map(|kind| to_value(kind).unwrap());
    let kinds = Value::Array(vec![thread, task, process, guard]);
    assert_alike("kinds", &documented()[1], &kinds);
    let panic = FailureKind::Panic {
        message: "index out of bounds".into(),
        place: Some("src/lib.rs:1:2".into()),
    };
    assert_alike("panic", &documented()[5], &to_value(panic).unwrap());
}

#[cfg(feature = "stacks")]
#[test]
fn states_of_tasks_have_the_documented_shape() {
    use quitter::TaskState;

    let states = [
        TaskState::Awaiting,
        TaskState::AwaitingNothing,
        TaskState::InPoll {
            os_id: 1,
            thread: "tokio-rt-worker".into(),
        },
        TaskState::NotPolled {
            woken: Duration::from_secs(3),
        },
        TaskState::NeverPolled,
    ];
    assert_alike("states", &documented()[4], &to_value(states).unwrap());
}

#[test]
fn an_exit_report_has_the_documented_shape() {
    let story = || {
        let main = MainQuitter::new(Duration::from_millis(500), [QuitSource::os_signal()]);
        let flusher = main.child("db").unwrap().guard("flusher").unwrap();
        flusher.set_status("flushing 3/10");
        raise(Signal::SIGTERM).unwrap();
        let report = to_value(main.exit()).unwrap();
        let documented = &documented()[6];
        assert_alike("report", documented, &report);
        // A list of timeouts by itself has the same shape as in a report.
        let root = Quitter::root("main");
        let _guard = root.child("db").unwrap().guard("flusher").unwrap();
        let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
        let timeouts = to_value(timeouts).unwrap();
        assert!(timeouts["after"].is_f64());
        assert_eq!(timeouts["quitters"][0]["quitter"], "main/db");
    };
    alone(story).end().with_code(0);
}

/// The dump is requested as the guide tells an operator to.
#[test]
fn a_dump_of_a_running_program_has_the_documented_shape() {
    let story = || {
        let say = |notice: &Notice| match notice {
            Notice::Dump(dump) => eprintln!("{}", serde_json::to_string(dump).unwrap()),
            other => eprintln!("{other}"),
        };
        let resizer = thread::Builder::new().name("resizer".to_owned());
        let resizer = resizer.spawn(|| {
            loop {
                thread::park();
            }
        });
        let builder = MainQuitter::builder().dump_on(libc::SIGUSR1).notices(say);
        builder.run(move |main| {
            resizer.unwrap();
            let flusher = main.routine("flusher");
            flusher.add(|q| q.wait_quit()).unwrap();
            eprintln!("listening");
        })
    };
    let mut program = alone(story);
    program.wait_for("listening");
    let documented = documented().swap_remove(8);
    let state = |thread: &Value| thread["state"].as_str().unwrap().to_owned();
    let until = Instant::now() + PATIENCE;
    // In early dumps, a thread that has just started is not attributed yet, or is in a page fault.
    let dump = loop {
        program.send(Signal::SIGUSR1);
        let line = program.wait_for("{\"signal\":");
        let dump: Value = serde_json::from_str(line.trim()).unwrap();
        let Some(outside) = dump["outside"].as_array() else {
            assert!(!STANDS && dump["outside"].is_null(), "{dump}");
            break dump;
        };
        if let Some(resizer) = outside.iter().find(|thread| thread["name"] == "resizer")
            && state(resizer) == "waiting"
        {
            assert_alike("thread", &documented["outside"][0], resizer);
            break dump;
        }
        assert!(Instant::now() < until, "{dump}");
    };
    let keys =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(keys(&documented), keys(&dump));
    assert_eq!(keys(&documented["snapshot"]), keys(&dump["snapshot"]));
    assert_eq!(dump["signal"]["number"], libc::SIGUSR1);
    assert_eq!(dump["signal"]["name"], "SIGUSR1");
    // The body may not have returned yet, and is listed, too, then.
    let routines = &dump["snapshot"]["quitters"][0]["routines"];
    let is_flusher = |routine: &Value| routine["name"] == "flusher";
    assert!(
        routines.as_array().unwrap().iter().any(is_flusher),
        "{dump}"
    );
    program.send(Signal::SIGTERM);
    let ended = program.end().with_code(0);
    ended.saying(&[
        "Received quit from",
        "SIGTERM",
        "Quit: all routines returned",
    ]);
}

#[test]
fn causes_have_the_documented_shape() {
    let told = |tell: &dyn Fn(&Quitter)| {
        let root = Quitter::root("main");
        tell(&root);
        eventually(|| root.has_to_quit());
        root.quit_cause().unwrap()
    };
    let keyboard = |root: &Quitter| {
        let keyboard = root.routine("keyboard");
        keyboard.add(|q| q.request_quit("the key q")).unwrap();
    };
    let flusher = |root: &Quitter| {
        let db = root.child("db").unwrap();
        let flusher = db.routine("flusher");
        flusher.add(|_| Err::<(), _>("disk full")).unwrap();
    };
    let causes = [
        QuitCause::Source {
            index: 1,
            description: "jobs".into(),
            message: None,
            closed: true,
        },
        told(&|root| root.send_quit()),
        told(&|root| root.request_quit("the key q")),
        told(&keyboard),
        told(&flusher),
        QuitCause::MainFailed {
            message: "no such file".into(),
        },
        QuitCause::MainReturned { code: 3 },
        QuitCause::MainDropped,
    ];
    assert_alike("causes", &documented()[9], &to_value(causes).unwrap());
}

#[test]
fn foreign_text_comes_back_as_it_was() {
    let hostile = "a\n\"}]\u{1b}[2J\\ \u{202e}\0".repeat(5000);
    let main = Quitter::root(hostile.clone());
    let guard = main.guard(hostile.clone()).unwrap();
    guard.set_status(hostile.clone());
    let text = serde_json::to_string(&main.snapshot()).unwrap();
    assert!(!text.chars().any(char::is_control));
    let snapshot: Value = serde_json::from_str(&text).unwrap();
    let quitter = &snapshot["quitters"][0];
    let routine = &quitter["routines"][0];
    for text in [&quitter["name"], &routine["name"], &routine["status"]] {
        assert!(*text == hostile);
    }
}

#[test]
fn the_json_of_a_deep_chain_grows_with_its_length_and_not_with_the_square_of_it() {
    let main = Quitter::root("main");
    let mut at = main.clone();
    for level in 1..10_000 {
        at = at.child(format!("level{level}")).unwrap();
    }
    let _guard = at.guard("stuck").unwrap();
    main.request_quit("x".repeat(100_000));
    let text = serde_json::to_string(&main.snapshot()).unwrap();
    assert!(text.len() < 10_000 * 1_500, "{} bytes", text.len());
    let snapshot: Value = serde_json::from_str(&text).unwrap();
    let quitters = snapshot["quitters"].as_array().unwrap();
    assert_eq!(quitters[3]["path"], "main/level1/level2/level3");
    let last = quitters[9_999]["path"].as_str().unwrap();
    assert!(last.starts_with("main/…/level9") && last.ends_with("/level9998/level9999"));
    assert!(last.chars().count() <= 1_000);
}
