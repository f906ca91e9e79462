//! `cancel_on_quit`, polled by hand.

use std::future::{pending, ready};

use super::*;

#[test]
fn drops_the_future_when_told_to_quit() {
    let root = Quitter::root("root");
    let told = Told(Event::new());
    let dropped = told.0.clone();
    let mut cancelled = Box::pin(root.cancel_on_quit(async move {
        let _told = told;
        pending::<()>().await;
    }));
    assert!(poll(&mut cancelled).is_pending());
    root.send_quit();
    assert_eq!(poll(&mut cancelled), Poll::Ready(Err(Quitting)));
    dropped.wait();
    assert_eq!(poll(&mut cancelled), Poll::Ready(Err(Quitting)));
}

#[test]
fn wakes_the_task_at_the_quit_of_a_quitter_above() {
    let root = Quitter::root("root");
    let child = root.child("child").unwrap();
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut cancelled = child.cancel_on_quit(pending::<()>());
    for _ in 0..3 {
        let cx = &mut Context::from_waker(&waker);
        assert!(Pin::new(&mut cancelled).poll(cx).is_pending());
    }
    root.send_quit();
    assert_eq!(wakes.count(), 1);
}

#[test]
fn does_not_begin_once_told_to_quit_so_that_loops_end() {
    let root = Quitter::root("root");
    let mut rounds = 0;
    while poll(&mut root.cancel_on_quit(ready(()))) == Poll::Ready(Ok(())) {
        rounds += 1;
        if rounds == 3 {
            root.send_quit();
        }
    }
    assert_eq!(rounds, 3);
}

#[test]
fn loses_no_output_that_is_there_when_the_quit_comes() {
    let root = Quitter::root("root");
    let (send, receive) = tokio::sync::oneshot::channel();
    let mut received = root.cancel_on_quit(receive);
    assert!(poll(&mut received).is_pending());
    send.send(17).unwrap();
    root.send_quit();
    assert_eq!(poll(&mut received), Poll::Ready(Ok(Ok(17))));
    // The output was taken before, so only the quit is left.
    assert_eq!(poll(&mut received), Poll::Ready(Err(Quitting)));
}

#[test]
fn is_pending_after_its_output_was_taken_until_the_quit() {
    let root = Quitter::root("root");
    let mut five = root.cancel_on_quit(ready(5));
    assert_eq!(poll(&mut five), Poll::Ready(Ok(5)));
    assert_eq!(poll(&mut five), Poll::Pending);
    root.send_quit();
    assert_eq!(poll(&mut five), Poll::Ready(Err(Quitting)));
}

#[test]
fn takes_a_future_that_borrows() {
    let root = Quitter::root("root");
    let mut frames = vec![1, 2, 3];
    let mut sum = 0;
    while let Poll::Ready(Ok(Some(frame))) =
        poll(&mut Box::pin(root.cancel_on_quit(async { frames.pop() })))
    {
        sum += frame;
    }
    assert_eq!(sum, 6);
}

#[test]
fn of_a_routine_shows_where_and_when_it_was_called() {
    let root = Quitter::root("root");
    let mut task = Box::pin(
        root.routine("reads")
            .task(|q| async move { q.cancel_on_quit(pending::<()>()).await })
            .unwrap(),
    );
    assert!(poll(&mut task).is_pending());
    let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
    let seen = only(&timeouts).last_seen.unwrap();
    assert_eq!((seen.file(), seen.ago.is_some()), (file!(), true));
}
