//! Waits are shown by the public names of the calls that a program makes.

use std::collections::HashSet;

use super::*;
use crate::{MainQuitter, QuitSource, RoutineQuitter};

/// Starts a routine that waits, checks that the innermost call has this name and that all other calls shown
/// are those of the tests, and lets the routine end.
#[track_caller]
fn check_wait<T>(
    call: &str,
    waits: impl FnOnce(&RoutineQuitter) -> T + Send + 'static,
    end: impl FnOnce(),
) {
    let root = Quitter::root("root");
    let routine = root.routine("r");
    routine
        .add(move |q| {
            hint::black_box(waits(q));
        })
        .unwrap();
    // With optimization the public call is often gone, and one inside it is left.
    let library = call.split("::").next().unwrap();
    let wanted = match cfg!(debug_assertions) {
        true => call.to_owned(),
        false => format!("{library}::"),
    };
    let stack = stack_in(&root, &wanted);
    let frames = &stack.frames;
    assert!(frames[0].function.starts_with(&wanted), "{frames:#?}");
    if cfg!(debug_assertions) {
        assert_eq!(frames[0].function, call, "{frames:#?}");
        let is_own = |frame: &crate::Frame| frame.function.contains("::stacks::tests::");
        assert!(frames[1..].iter().all(is_own), "{frames:#?}");
    }
    end();
    root.quit_and_wait(LONG).unwrap();
}

/// Waits for items of both kinds of channels, by different uses of their iterators.
macro_rules! check_channels {
    ($(|$items:ident| $wait:expr),+ $(,)?) => {$(
        let (sender, receiver) = crossbeam_channel::bounded::<u8>(1);
        let wait = move |_: &_| {
            let $items = receiver.iter();
            $wait
        };
        check_wait("crossbeam_channel::Iter::next", wait, || drop(sender));
        let (sender, receiver) = mpsc::channel::<u8>();
        let wait = move |_: &_| {
            let $items = receiver.iter();
            $wait
        };
        check_wait("std::sync::mpsc::Iter::next", wait, || drop(sender));
    )+};
}

#[test]
fn a_wait_on_a_channel_behind_iterators_shows_the_channel() {
    check_channels!(
        |items| {
            for (at, item) in items.enumerate() {
                hint::black_box((at, item));
            }
        },
        |items| items.map(|item| item + 1).collect::<Vec<_>>(),
        |items| items.collect::<HashSet<_>>(),
        |items| { items }.try_for_each(|item| (item < 3).then_some(())),
        |items| items.map(u64::from).sum::<u64>(),
        |items| Vec::new().extend(items),
    );
}

/// A quitter with a routine that waits for the sender to be dropped.
fn busy() -> (Quitter, crate::RoutineHandle, mpsc::Sender<()>) {
    let quitter = Quitter::root("busy");
    let (sender, messages) = mpsc::channel();
    let routine = quitter.routine("busy");
    let routine = routine
        .add(move |_| messages.recv().unwrap_or_default())
        .unwrap();
    (quitter, routine, sender)
}

#[test]
fn a_wait_for_a_quit_has_its_public_name() {
    check_wait("quitter::RoutineQuitter::sleep", |q| q.sleep(LONG), || {});
    check_wait(
        "quitter::RoutineQuitter::wait_quit",
        |q| q.wait_quit(),
        || {},
    );
    let ticks = |q: &RoutineQuitter| q.ticks(LONG).enumerate().count();
    check_wait("quitter::Ticks::next", ticks, || {});
    let other = Quitter::root("other");
    let theirs = other.clone();
    let waits = move |_: &_| theirs.wait_quit();
    check_wait("quitter::Quitter::wait_quit", waits, || other.send_quit());
}

#[test]
fn a_wait_for_routines_has_its_public_name() {
    let (other, _routine, sender) = busy();
    let waits = move |_: &_| other.wait_done(LONG).is_ok();
    check_wait("quitter::Quitter::wait_done", waits, || drop(sender));
    let (other, _routine, sender) = busy();
    let waits = move |_: &_| other.quit_and_wait(LONG).is_ok();
    check_wait("quitter::Quitter::quit_and_wait", waits, || drop(sender));
    let (_other, routine, sender) = busy();
    let waits = move |_: &_| routine.wait(LONG).is_ok();
    check_wait("quitter::RoutineHandle::wait", waits, || drop(sender));
}

/// Runs in a process that has no other main quitter.
#[test]
fn an_exit_has_its_public_name() {
    in_a_process("stacks::tests::waits::a_routine_exits");
}

#[test]
#[ignore = "another test starts it"]
fn a_routine_exits() {
    let main = MainQuitter::builder().signals(false);
    let main = main.source(QuitSource::all_done()).build();
    let (sender, messages) = mpsc::channel::<()>();
    let routine = main.routine("busy");
    routine
        .add(move |_| messages.recv().unwrap_or_default())
        .unwrap();
    let exits = move |_: &_| main.exit();
    check_wait("quitter::MainQuitter::exit", exits, || drop(sender));
}

#[cfg(feature = "process")]
#[test]
fn a_wait_for_a_process_has_its_public_name() {
    let other = Quitter::root("other");
    let process = other.add_process(Command::new("sleep").arg("100")).unwrap();
    let waits = move |_: &_| process.wait(LONG).is_ok();
    check_wait("quitter::ProcessHandle::wait", waits, || other.send_quit());
    other.wait_done(LONG).unwrap();
}

#[cfg(feature = "io")]
#[test]
fn blocking_io_has_its_public_name() {
    use std::io::Read;

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let reads = move |q: &RoutineQuitter| q.interruptible(&client).read(&mut [0]).is_ok();
    check_wait("quitter::Interruptible::read", reads, || {});
    let (_client, _) = listener.accept().unwrap();
    let theirs = listener.try_clone().unwrap();
    let waits = move |q: &RoutineQuitter| q.wait_readable(&theirs).is_ok();
    check_wait("quitter::RoutineQuitter::wait_readable", waits, || {});
    let incoming = move |q: &RoutineQuitter| q.incoming(&listener).enumerate().count();
    check_wait("quitter::Incoming::next", incoming, || {});
}
