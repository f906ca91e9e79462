use super::*;

type Sleeper = fn(&RoutineQuitter);

const SLEEPERS: [Sleeper; 5] = [
    |q| q.wait_quit(),
    |q| assert_eq!(q.sleep(6 * PATIENCE), Err(Quitting)),
    |q| assert_eq!(q.ticks(6 * PATIENCE).count(), 0),
    |q| {
        assert!(
            q.quit_chan()
                .recv_timeout(6 * PATIENCE)
                .unwrap_err()
                .is_disconnected()
        )
    },
    |q| {
        let jobs = crossbeam_channel::never::<()>();
        crossbeam_channel::select! {
            recv(jobs) -> _ => panic!("there are no jobs"),
            recv(q.quit_chan()) -> nothing => assert!(nothing.is_err()),
        }
    },
];

#[test]
fn the_channel_of_a_quitter_that_is_gone_is_closed_whoever_has_a_handle_of_its_routine() {
    let root = Quitter::root("root");
    let child = root.child("child").unwrap();
    let channel = child.quit_chan().clone();
    let handle = child.add_routine(|_| {}).unwrap();
    handle.wait(PATIENCE).unwrap();
    drop(child);
    // The routine's thread may not have ended yet.
    eventually(|| channel.try_recv() == Err(crossbeam_channel::TryRecvError::Disconnected));
    assert!(handle.is_finished());
}

#[test]
fn whoever_waits_in_whatever_way_wakes_at_once_on_quit() {
    let root = Quitter::root("root");
    let (begin, begins) = mpsc::channel();
    for sleeper in [SLEEPERS; 4].into_iter().flatten() {
        let begin = begin.clone();
        root.child("child")
            .unwrap()
            .add_routine(move |q: &RoutineQuitter| {
                begin.send(Waiter::this_thread()).unwrap();
                sleeper(q);
            })
            .unwrap();
    }
    for _ in 0..4 * SLEEPERS.len() {
        begins.recv_timeout(PATIENCE).unwrap().until_asleep();
    }
    root.quit_and_wait(PATIENCE).unwrap();
    assert!(root.failures().is_empty(), "{:?}", root.failures());
}

/// The quit comes at a random moment while the thread falls asleep.
#[test]
fn a_quit_while_somebody_goes_to_sleep_is_not_missed() {
    for sleeper in [SLEEPERS; 60].into_iter().flatten() {
        let root = Quitter::root("root");
        let start = Arc::new(Barrier::new(2));
        let starts = Arc::clone(&start);
        root.add_routine(move |q: &RoutineQuitter| {
            starts.wait();
            sleeper(q);
        })
        .unwrap();
        start.wait();
        root.quit_and_wait(PATIENCE).unwrap();
        assert!(root.failures().is_empty(), "{:?}", root.failures());
    }
}

#[test]
fn somebody_who_is_no_routine_wakes_too() {
    let root = Quitter::root("root");
    let sleepers: [fn(&Quitter); 4] = [
        |q| q.wait_quit(),
        |q| assert_eq!(q.sleep(6 * PATIENCE), Err(Quitting)),
        |q| assert_eq!(q.ticks(6 * PATIENCE).count(), 0),
        |q| {
            assert!(
                q.quit_chan()
                    .recv_timeout(6 * PATIENCE)
                    .unwrap_err()
                    .is_disconnected()
            )
        },
    ];
    let threads = sleepers.map(|sleeper| {
        let child = root.child("child").unwrap();
        asleep_in(move || sleeper(&child))
    });
    root.send_quit();
    in_time(move || threads.map(|thread| thread.join().unwrap()));
}

#[test]
fn after_the_quit_nobody_falls_asleep() {
    let root = Quitter::root("root");
    root.send_quit();
    in_time(move || {
        root.wait_quit();
        assert_eq!(root.sleep(Duration::MAX), Err(Quitting));
        assert_eq!(root.sleep(Duration::ZERO), Err(Quitting));
        assert_eq!(root.ticks(Duration::MAX).next(), None);
        assert_eq!(root.ticks(Duration::ZERO).next(), None);
        assert!(root.quit_chan().recv().is_err());
        assert!(root.quit_chan().recv().is_err());
    });
}

#[test]
fn the_end_of_a_routine_wakes_whoever_waits_for_it_alone() {
    let root = Quitter::root("root");
    let (handle, end) = deaf(&root, "deaf");
    let _others = [0, 1, 2].map(|_| root.guard("other").unwrap());
    let handle = Arc::new(handle);
    let waiters = [0, 1].map(|_| {
        let handle = Arc::clone(&handle);
        asleep_in(move || handle.wait(6 * PATIENCE))
    });
    end.set();
    in_time(|| waiters.map(|waiter| waiter.join().unwrap().unwrap()));
}

#[test]
fn a_sleep_that_nobody_cuts_short_lasts_its_time() {
    let root = Quitter::root("root");
    let from = Instant::now();
    root.sleep(SHORT).unwrap();
    assert!(from.elapsed() >= SHORT);
}

#[test]
fn a_quit_elsewhere_does_not_wake_a_sleeper() {
    let root = Quitter::root("root");
    let [a, b] = ["a", "b"].map(|name| root.child(name).unwrap());
    let quits = thread::spawn(move || a.send_quit());
    assert_eq!(b.sleep(SHORT), Ok(()));
    assert!(b.quit_chan().try_recv().unwrap_err().is_empty());
    quits.join().unwrap();
}
