//! Futures that are routines, and whose output is returned.

use std::future::{pending, poll_fn};

use super::*;

fn two_polls() -> impl Future<Output = ()> {
    let mut is_first = true;
    poll_fn(move |_| match std::mem::take(&mut is_first) {
        true => Poll::Pending,
        false => Poll::Ready(()),
    })
}

#[test]
fn a_tracked_future_is_a_task_from_its_making_to_its_end_and_yields_its_output() {
    let root = Quitter::root("root");
    let request = root.routine("GET /").track(async {
        two_polls().await;
        // While the future is polled, it is the current routine.
        root.wait_done(PATIENCE).unwrap();
        Err::<u32, _>("not found")
    });
    let mut request = pin!(request);
    let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
    let listed = only(&timeouts);
    assert_eq!(
        (&listed.name[..], listed.kind),
        ("GET /", RoutineKind::Task)
    );
    assert!(poll(&mut request).is_pending());
    root.send_quit();
    assert_eq!(root.live_routines(), 1);
    assert_eq!(poll(&mut request), Poll::Ready(Some(Err("not found"))));
    root.wait_done(Duration::ZERO).unwrap();
    assert!(root.failures().is_empty());
    assert_eq!(poll(&mut request), Poll::Ready(None));
}

#[test]
fn a_panic_of_a_tracked_future_is_its_failure_and_ends_nothing_else() {
    let root = Quitter::root("root");
    let request = root.routine("GET /").on_failure(OnFailure::FailAtExit);
    let mut request = pin!(request.track(async {
        two_polls().await;
        if root.name() == "root" {
            panic!("no such page");
        }
        200
    }));
    assert!(poll(&mut request).is_pending());
    assert_eq!(poll(&mut request), Poll::Ready(None));
    root.wait_done(Duration::ZERO).unwrap();
    let FailureKind::Panic { message, place } = failure(&root).kind else {
        panic!("{:?}", root.failures());
    };
    assert_eq!(message, "no such page");
    assert!(place.unwrap().starts_with(file!()));
    assert!(!root.has_to_quit());
}

#[test]
fn a_future_that_is_tracked_while_quitting_is_awaited_without_being_listed() {
    let root = Quitter::root("root");
    root.send_quit();
    let mut request = Box::pin(root.routine("late").track(async {
        two_polls().await;
        404
    }));
    root.wait_done(Duration::ZERO).unwrap();
    assert!(poll(&mut request).is_pending());
    assert_eq!(poll(&mut request), Poll::Ready(Some(404)));
    assert_eq!(poll(&mut request), Poll::Ready(None));
}

#[test]
fn a_tracked_future_that_is_dropped_is_done_without_a_failure() {
    let root = Quitter::root("root");
    let mut request = Box::pin(root.routine("GET /").track(pending::<u32>()));
    assert!(poll(&mut request).is_pending());
    drop(request);
    root.wait_done(Duration::ZERO).unwrap();
    assert!(root.failures().is_empty() && !root.has_to_quit());
}
