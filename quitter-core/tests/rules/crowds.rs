//! Many threads at once: the quit wakes a few of them, which wake the others, and the threads' ends are
//! put off while another thread waits.

use std::cell::RefCell;

use crossbeam_channel::{Sender, TryRecvError, unbounded};

use super::*;

const MANY: usize = 100;

/// A quitter with many routines, each of which calls `f` and then blocks until the quit.
fn blocked(f: impl Fn() + Clone + Send + 'static) -> Quitter {
    let root = Quitter::root("root");
    let arrived = Arc::new(AtomicUsize::new(0));
    for _ in 0..MANY {
        let (f, arrived) = (f.clone(), Arc::clone(&arrived));
        let routine = root.routine("one of many").stack_size(128 * 1024);
        let add = routine.add(move |q| {
            f();
            arrived.fetch_add(1, Ordering::SeqCst);
            q.wait_quit();
        });
        add.unwrap();
    }
    eventually(|| arrived.load(Ordering::SeqCst) == MANY);
    root
}

#[test]
fn all_return_and_the_channel_is_closed_when_the_quit_has_returned() {
    let root = blocked(|| {});
    let channel = root.quit_chan().clone();
    root.send_quit();
    assert_eq!(channel.try_recv(), Err(TryRecvError::Disconnected));
    root.wait_done(PATIENCE).unwrap();
}

#[test]
fn thread_local_values_are_dropped_though_a_wait_goes_on() {
    thread_local! {
        static KEPT: RefCell<Option<Sender<()>>> = const { RefCell::new(None) };
    }
    let (sender, receiver) = unbounded::<()>();
    let root = blocked(move || KEPT.set(Some(sender.clone())));
    // Returns once all senders are gone, which this thread waits for.
    let collector = root.guard("collector").unwrap();
    let collects = thread::spawn(move || {
        for () in receiver {}
        drop(collector);
    });
    root.quit_and_wait(PATIENCE).unwrap();
    collects.join().unwrap();
}

#[test]
fn several_waits_at_once_all_end() {
    let root = blocked(|| {});
    let waits = [(); 4].map(|()| {
        let root = root.clone();
        thread::spawn(move || root.wait_done(PATIENCE).is_ok())
    });
    root.quit_and_wait(PATIENCE).unwrap();
    assert!(waits.map(|wait| wait.join().unwrap()) == [true; 4]);
}
