//! The rules that users rely on, tested through the public interface on trees without a main quitter:
//! rules 1 to 5, 7, 9 and 10. `depth.rs` has rule 8, `memory.rs` memory; the main quitter has its own
//! files.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use quitter_core::{
    AddRoutineError, FailureKind, OnFailure, QuitCause, Quitter, Quitting, RoutineGuard,
    RoutineQuitter, Timeouts,
};

use common::{Event, PATIENCE, SHORT, deaf, eventually, fall_asleep, ids, in_time, names, paths};

/// More attempts than a thread can make before a quit that is under way takes effect.
const FOR_EVER: usize = 200_000;

/// Panics when it is dropped.
struct Bomb(&'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("{}", self.0);
    }
}

/// Sets off the event when it is dropped.
struct Told(Event);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.set();
    }
}

/// An error with a source, as applications define them.
#[derive(Debug)]
struct Wrapped<E>(&'static str, E);

impl<E> std::fmt::Display for Wrapped<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl<E: std::error::Error + 'static> std::error::Error for Wrapped<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.1)
    }
}

/// The only listed routine.
#[track_caller]
fn only(timeouts: &Timeouts) -> &quitter_core::StuckRoutine {
    assert_eq!(timeouts.len(), 1, "{timeouts}");
    timeouts.routines().next().unwrap()
}

mod rule_1_recorded_or_refused {
    use super::*;

    /// Threads add routines until they are refused, while another thread quits and looks.
    #[test]
    fn a_guard_is_refused_or_seen_by_a_wait_that_starts_after_the_quit() {
        for _ in 0..200 {
            let root = Quitter::root("root");
            let child = root.child("child").unwrap();
            let start = Arc::new(Barrier::new(3));
            let adders = [root.clone(), child].map(|quitter| {
                let start = Arc::clone(&start);
                thread::spawn(move || {
                    start.wait();
                    let guards = std::iter::from_fn(|| quitter.guard("guard").ok());
                    guards.take(FOR_EVER).collect::<Vec<_>>()
                })
            });
            start.wait();
            root.send_quit();
            let seen = root.wait_done(Duration::ZERO);
            let admitted: Vec<RoutineGuard> = adders
                .into_iter()
                .flat_map(|adder| adder.join().unwrap())
                .collect();
            let mut seen = seen.map_or_else(|timeouts| ids(&timeouts), |()| Vec::new());
            let mut admitted: Vec<u64> = admitted.iter().map(|guard| guard.id()).collect();
            seen.sort_unstable();
            admitted.sort_unstable();
            assert_eq!(seen, admitted);
        }
    }

    #[test]
    fn an_accepted_routine_has_run_when_the_wait_is_over_and_a_refused_one_never_runs() {
        for _ in 0..200 {
            let root = Quitter::root("root");
            let ran = Arc::new(AtomicUsize::new(0));
            let start = Arc::new(Barrier::new(2));
            let adder = {
                let (root, ran, start) = (root.clone(), Arc::clone(&ran), Arc::clone(&start));
                thread::spawn(move || {
                    start.wait();
                    let add = || {
                        let ran = Arc::clone(&ran);
                        root.add_routine(move |_| {
                            ran.fetch_add(1, Ordering::SeqCst);
                        })
                    };
                    std::iter::from_fn(|| add().ok()).take(20).count()
                })
            };
            start.wait();
            root.quit_and_wait(PATIENCE).unwrap();
            let by_then = ran.load(Ordering::SeqCst);
            assert_eq!(by_then, adder.join().unwrap());
            assert_eq!(ran.load(Ordering::SeqCst), by_then);
        }
    }

    #[test]
    fn a_refused_closure_is_dropped() {
        let root = Quitter::root("root");
        root.send_quit();
        let told = Told(Event::new());
        let dropped = told.0.clone();
        let refused = root.add_routine(move |_| drop(told)).unwrap_err();
        assert!(matches!(refused, AddRoutineError::Quitting));
        dropped.wait();
    }
}

mod rule_2_quit_reaches_everyone_at_once {
    use super::*;

    /// Three levels with ten children each, named after their index.
    fn subtree(of: &Quitter) -> Vec<Quitter> {
        let mut all = vec![of.clone()];
        let mut from = 0;
        for _ in 0..3 {
            let to = all.len();
            for at in from..to {
                for _ in 0..10 {
                    let child = all[at].child(all.len().to_string()).unwrap();
                    all.push(child);
                }
            }
            from = to;
        }
        all
    }

    #[test]
    fn when_send_quit_has_returned_all_below_say_quit_and_refuse_seen_from_another_thread() {
        let root = Quitter::root("root");
        let all = subtree(&root);
        let (quit, was_quit) = mpsc::channel::<()>();
        let seen = thread::spawn(move || {
            was_quit.recv().unwrap();
            for quitter in &all {
                assert!(quitter.has_to_quit());
                assert_eq!(quitter.child("late").unwrap_err(), Quitting);
                assert_eq!(quitter.guard("late").unwrap_err(), Quitting);
                assert!(quitter.add_routine(|_| {}).unwrap_err().is_quitting());
                assert!(
                    quitter
                        .quit_chan()
                        .try_recv()
                        .unwrap_err()
                        .is_disconnected()
                );
            }
            all.len()
        });
        root.send_quit();
        quit.send(()).unwrap();
        assert_eq!(seen.join().unwrap(), 1111);
    }

    #[test]
    fn before_the_quit_nobody_says_so() {
        let root = Quitter::root("root");
        for quitter in subtree(&root) {
            assert!(!quitter.has_to_quit());
            assert!(quitter.quit_chan().try_recv().unwrap_err().is_empty());
            assert!(quitter.quit_cause().is_none());
        }
    }

    #[test]
    fn a_child_made_during_the_quit_is_refused_or_told() {
        for _ in 0..100 {
            let root = Quitter::root("root");
            let returned = Arc::new(AtomicBool::new(false));
            let start = Arc::new(Barrier::new(3));
            let makers = [0, 1].map(|_| {
                let (returned, start) = (Arc::clone(&returned), Arc::clone(&start));
                let mut newest = root.child("first").unwrap();
                thread::spawn(move || {
                    let mut made = vec![newest.clone()];
                    start.wait();
                    for _ in 0..FOR_EVER {
                        let late = returned.load(Ordering::SeqCst);
                        match newest.child("child") {
                            Ok(child) => {
                                assert!(!late, "a child was made after the quit");
                                newest = child.clone();
                                made.push(child);
                            }
                            Err(Quitting) => break,
                        }
                    }
                    while !returned.load(Ordering::SeqCst) {
                        thread::yield_now();
                    }
                    assert!(made.iter().all(Quitter::has_to_quit));
                })
            });
            start.wait();
            root.send_quit();
            returned.store(true, Ordering::SeqCst);
            for maker in makers {
                maker.join().unwrap();
            }
        }
    }

    /// The second quit finds a tree that the first quit has only half walked.
    #[test]
    fn each_of_several_quits_at_once_has_reached_everyone_when_it_returns() {
        for _ in 0..20 {
            let root = Quitter::root("root");
            let all = subtree(&root);
            let start = Arc::new(Barrier::new(3));
            // The root, a child of it, and a child of that.
            let threads = [0, 1, 11].map(|top| {
                let prefix = format!("{}/", all[top].path());
                let below = all
                    .iter()
                    .filter(|quitter| quitter.path().starts_with(&prefix));
                let below: Vec<_> = below.cloned().collect();
                let (top, start) = (all[top].clone(), Arc::clone(&start));
                thread::spawn(move || {
                    start.wait();
                    top.send_quit();
                    assert!(below.iter().all(Quitter::has_to_quit));
                    below.len()
                })
            });
            let reached = threads.map(|thread| thread.join().unwrap());
            assert_eq!(reached, [1110, 110, 10]);
        }
    }

    #[test]
    fn quitting_again_keeps_the_first_cause() {
        let root = Quitter::root("root");
        let child = root.child("child").unwrap();
        let line = line!() + 1;
        child.send_quit();
        root.send_quit();
        child.send_quit();
        let Some(QuitCause::SendQuit { at }) = child.quit_cause() else {
            panic!("{:?}", child.quit_cause());
        };
        assert_eq!((at.file(), at.line()), (file!(), line));
        let Some(QuitCause::SendQuit { at }) = root.quit_cause() else {
            panic!("{:?}", root.quit_cause());
        };
        assert_eq!(at.line(), line + 1);
    }

    #[test]
    fn a_routine_reads_the_cause_of_the_quit_above_it() {
        let root = Quitter::root("root");
        let guard = root.child("child").unwrap().guard("guard").unwrap();
        assert_eq!(guard.quit_cause(), None);
        let line = line!() + 1;
        root.send_quit();
        let Some(QuitCause::SendQuit { at }) = guard.quit_cause() else {
            panic!("{:?}", guard.quit_cause());
        };
        assert_eq!((at.file(), at.line()), (file!(), line));
    }

    #[test]
    fn a_quit_by_quit_and_wait_names_its_place_too() {
        let root = Quitter::root("root");
        let line = line!() + 1;
        root.quit_and_wait(Duration::ZERO).unwrap();
        let Some(QuitCause::SendQuit { at }) = root.quit_cause() else {
            panic!("{:?}", root.quit_cause());
        };
        assert_eq!((at.file(), at.line()), (file!(), line));
    }

    #[test]
    fn a_quit_reaches_a_child_of_a_routines_quitter() {
        let root = Quitter::root("root");
        let (send, made) = mpsc::channel();
        root.add_routine(move |q: &RoutineQuitter| {
            send.send(q.child("of routine").unwrap()).unwrap();
        })
        .unwrap();
        let child = made.recv_timeout(PATIENCE).unwrap();
        assert_eq!(child.path(), "root/of routine");
        assert!(!child.has_to_quit());
        root.send_quit();
        assert!(child.has_to_quit());
    }

    #[test]
    fn a_quit_reaches_a_child_whose_handles_are_gone_and_whose_routine_lives() {
        let root = Quitter::root("root");
        let guard = root
            .child("a")
            .unwrap()
            .child("b")
            .unwrap()
            .guard("guard")
            .unwrap();
        assert_eq!(guard.path(), "root/a/b");
        root.send_quit();
        assert!(guard.has_to_quit());
        assert_eq!(
            paths(&root.wait_done(Duration::ZERO).unwrap_err()),
            ["root/a/b"]
        );
    }
}

mod rule_3_a_quit_never_goes_up {
    use super::*;

    #[test]
    fn parent_and_siblings_go_on_and_accept_work() {
        let root = Quitter::root("root");
        let [a, b] = ["a", "b"].map(|name| root.child(name).unwrap());
        let routine = b.guard("guard").unwrap();
        a.quit_and_wait(PATIENCE).unwrap();
        assert!(a.has_to_quit());
        for quitter in [&root, &b] {
            assert!(!quitter.has_to_quit());
            assert_eq!(quitter.quit_cause(), None);
            assert_eq!(quitter.deadline(), None);
            quitter.child("more").unwrap();
            quitter.add_routine(|_| {}).unwrap();
        }
        assert!(!routine.has_to_quit());
    }

    #[test]
    fn a_parent_waits_for_a_child_that_quits() {
        let root = Quitter::root("root");
        let child = root.child("child").unwrap();
        let guard = child.guard("guard").unwrap();
        child.send_quit();
        assert_eq!(
            ids(&root.wait_done(Duration::ZERO).unwrap_err()),
            [guard.id()]
        );
    }

    #[test]
    fn dropping_every_handle_quits_nothing() {
        let root = Quitter::root("root");
        let child = root.child("child").unwrap();
        let (dropped, seen) = (Event::new(), Event::new());
        let (send, quits) = mpsc::channel();
        let handle = {
            let (dropped, seen) = (dropped.clone(), seen.clone());
            child
                .add_routine(move |q: &RoutineQuitter| {
                    dropped.wait();
                    send.send((q.has_to_quit(), q.child("still").is_ok()))
                        .unwrap();
                    seen.wait();
                })
                .unwrap()
        };
        drop((root, child));
        dropped.set();
        assert_eq!(quits.recv_timeout(PATIENCE), Ok((false, true)));
        assert!(!handle.is_finished());
        seen.set();
        handle.wait(PATIENCE).unwrap();
    }
}

mod rule_4_waiting_is_exact {
    use super::*;

    #[test]
    fn timeout_zero_is_one_honest_look() {
        let root = Quitter::root("root");
        root.wait_done(Duration::ZERO).unwrap();
        let guard = root.guard("guard").unwrap();
        assert_eq!(
            ids(&root.wait_done(Duration::ZERO).unwrap_err()),
            [guard.id()]
        );
        drop(guard);
        root.wait_done(Duration::ZERO).unwrap();
    }

    #[test]
    fn a_wait_ends_when_the_last_routine_returns() {
        let root = Quitter::root("root");
        let (_, end) = deaf(&root.child("child").unwrap(), "deaf");
        let waiter = thread::spawn(move || root.wait_done(6 * PATIENCE));
        fall_asleep();
        end.set();
        in_time(move || waiter.join().unwrap()).unwrap();
    }

    #[test]
    fn a_wait_without_a_quit_quits_nothing() {
        let root = Quitter::root("root");
        let _guard = root.guard("guard").unwrap();
        assert!(root.wait_done(SHORT).is_err());
        assert!(!root.has_to_quit());
        assert_eq!(root.deadline(), None);
    }

    /// Looks again and again while a guard is always live somewhere: `hop` makes each guard before it
    /// drops the previous one. No look may find nothing.
    fn every_look_sees_the_guard(
        root: &Quitter,
        mut hop: impl FnMut() -> RoutineGuard + Send + 'static,
    ) {
        let over = Arc::new(AtomicBool::new(false));
        let mut guard = hop();
        let runner = {
            let over = Arc::clone(&over);
            thread::spawn(move || {
                while !over.load(Ordering::SeqCst) {
                    drop(std::mem::replace(&mut guard, hop()));
                }
            })
        };
        // On a busy machine the two seldom run at once, so the test also runs for some time.
        let until = Instant::now() + Duration::from_millis(800);
        let mut looks = 0;
        while looks < 1_000 || Instant::now() < until {
            assert!(
                root.wait_done(Duration::ZERO).is_err(),
                "look {looks} saw nothing"
            );
            looks += 1;
        }
        over.store(true, Ordering::SeqCst);
        runner.join().unwrap();
        root.wait_done(Duration::ZERO).unwrap();
    }

    /// So many quitters that the guard moves several times while a look walks over them.
    fn homes(root: &Quitter) -> Vec<Quitter> {
        (0..100).map(|_| root.child("home").unwrap()).collect()
    }

    #[test]
    fn a_look_sees_work_that_moves_from_quitter_to_quitter() {
        let root = Quitter::root("root");
        let (homes, mut rng) = (homes(&root), fastrand::Rng::with_seed(7));
        every_look_sees_the_guard(&root, move || {
            homes[rng.usize(..homes.len())].guard("work").unwrap()
        });
    }

    #[test]
    fn a_look_sees_work_that_moves_through_children_that_come_and_go() {
        let root = Quitter::root("root");
        let (homes, mut rng) = (homes(&root), fastrand::Rng::with_seed(7));
        every_look_sees_the_guard(&root, move || {
            let passing = homes[rng.usize(..homes.len())].child("passing").unwrap();
            passing.guard("work").unwrap()
        });
    }

    /// Each routine starts the next one elsewhere in the tree, and returns.
    #[test]
    fn a_wait_is_not_over_while_routines_fork_their_successors_elsewhere() {
        fn relay(to: Arc<[Quitter; 3]>, left: usize, over: Arc<AtomicBool>) {
            let next = to[left % 3].clone();
            next.add_routine(move |_| match left {
                0 => over.store(true, Ordering::SeqCst),
                _ => relay(to, left - 1, over),
            })
            .unwrap();
        }
        let root = Quitter::root("root");
        let homes = ["a", "b", "c"].map(|name| root.child(name).unwrap());
        let over = Arc::new(AtomicBool::new(false));
        relay(Arc::new(homes), 500, Arc::clone(&over));
        let waiters = [0, 1, 2].map(|_| {
            let (root, over) = (root.clone(), Arc::clone(&over));
            thread::spawn(move || {
                root.wait_done(PATIENCE).unwrap();
                assert!(over.load(Ordering::SeqCst));
            })
        });
        for waiter in waiters {
            waiter.join().unwrap();
        }
    }

    /// The guard is dropped at about the deadline: either answer must be true.
    #[test]
    fn at_the_deadline_the_answer_is_done_or_the_routine_that_was_live() {
        for _ in 0..300 {
            let root = Quitter::root("root");
            let guard = root.guard("guard").unwrap();
            let id = guard.id();
            let going = Arc::new(AtomicBool::new(false));
            let until = Instant::now() + Duration::from_micros(200);
            let dropper = {
                let going = Arc::clone(&going);
                thread::spawn(move || {
                    while Instant::now() < until {
                        std::hint::spin_loop();
                    }
                    going.store(true, Ordering::SeqCst);
                    drop(guard);
                })
            };
            match root.wait_done(until.saturating_duration_since(Instant::now())) {
                Ok(()) => assert!(going.load(Ordering::SeqCst)),
                Err(timeouts) => assert_eq!(ids(&timeouts), [id]),
            }
            dropper.join().unwrap();
        }
    }

    #[test]
    fn done_wins_over_a_deadline_that_is_long_past() {
        let root = Quitter::root("root");
        let guard = root.guard("guard").unwrap();
        assert!(root.quit_and_wait(Duration::ZERO).is_err());
        drop(guard);
        for _ in 0..1000 {
            root.quit_and_wait(Duration::ZERO).unwrap();
            root.wait_done(Duration::ZERO).unwrap();
        }
    }

    #[test]
    fn an_idle_quitter_gets_new_routines_and_is_waited_for_again() {
        let root = Quitter::root("root");
        for _ in 0..3 {
            root.wait_done(PATIENCE).unwrap();
            let (handle, end) = deaf(&root, "deaf");
            assert_eq!(ids(&root.wait_done(SHORT).unwrap_err()), [handle.id()]);
            end.set();
            root.wait_done(PATIENCE).unwrap();
            assert!(handle.is_finished());
        }
    }

    #[test]
    fn a_wait_called_by_a_routine_leaves_it_out() {
        let root = Quitter::root("root");
        let whole = root.clone();
        let (send, waited) = mpsc::channel();
        root.child("child")
            .unwrap()
            .add_routine(move |_| {
                let alone = whole.wait_done(Duration::ZERO);
                let other = whole.guard("other").unwrap();
                let with_other = whole.wait_done(Duration::ZERO);
                send.send((alone, with_other, other.id())).unwrap();
            })
            .unwrap();
        let (alone, with_other, other) = waited.recv_timeout(PATIENCE).unwrap();
        alone.unwrap();
        assert_eq!(ids(&with_other.unwrap_err()), [other]);
    }

    #[test]
    fn a_wait_by_a_routine_ends_when_all_others_have_returned() {
        let root = Quitter::root("root");
        let ends: Vec<_> = (0..3).map(|_| deaf(&root, "deaf").1).collect();
        let whole = root.clone();
        let (send, waited) = mpsc::channel();
        root.add_routine(move |_| {
            send.send(Ok(())).unwrap();
            send.send(whole.wait_done(6 * PATIENCE)).unwrap();
        })
        .unwrap();
        waited.recv_timeout(PATIENCE).unwrap().unwrap();
        fall_asleep();
        for end in ends {
            end.set();
        }
        waited.recv_timeout(PATIENCE).unwrap().unwrap();
    }

    #[test]
    fn a_routine_may_quit_the_whole_tree_and_wait_for_the_others() {
        let root = Quitter::root("root");
        root.routine("other").add(|q| q.wait_quit()).unwrap();
        let whole = root.clone();
        let supervisor = root
            .routine("supervisor")
            .add(move |_| whole.quit_and_wait(PATIENCE))
            .unwrap();
        supervisor.wait(PATIENCE).unwrap();
        root.wait_done(PATIENCE).unwrap();
        assert!(root.failures().is_empty());
    }

    #[test]
    fn two_routines_that_wait_for_each_other_time_out_and_are_listed() {
        let root = Quitter::root("root");
        let (send, waited) = mpsc::channel();
        let (both, done) = (Arc::new(Barrier::new(2)), Event::new());
        let handles = ["a", "b"].map(|name| {
            let (whole, both) = (root.clone(), Arc::clone(&both));
            let (send, done) = (send.clone(), done.clone());
            root.routine(name)
                .add(move |q: &RoutineQuitter| {
                    both.wait();
                    send.send((q.id(), whole.wait_done(SHORT))).unwrap();
                    done.wait();
                })
                .unwrap()
        });
        for _ in &handles {
            let (id, timeouts) = waited.recv_timeout(PATIENCE).unwrap();
            let other = handles.iter().find(|handle| handle.id() != id).unwrap();
            assert_eq!(ids(&timeouts.unwrap_err()), [other.id()]);
        }
        let all = root.wait_done(Duration::ZERO).unwrap_err();
        assert_eq!(names(&all), ["a", "b"]);
        done.set();
        root.wait_done(PATIENCE).unwrap();
    }

    #[test]
    fn a_guard_is_waited_for_even_on_its_own_thread() {
        let root = Quitter::root("root");
        let whole = root.clone();
        let handle = root
            .routine("with guard")
            .add(move |q: &RoutineQuitter| {
                let _guard = q.guard("guard").unwrap();
                whole.wait_done(SHORT)
            })
            .unwrap();
        handle.wait(PATIENCE).unwrap();
        let FailureKind::Error { message, .. } = &root.failures()[0].kind else {
            panic!("{:?}", root.failures());
        };
        assert!(
            message.contains("guard") && !message.contains("with guard"),
            "{message}"
        );
    }

    #[test]
    fn twins_of_one_function_are_told_apart_by_id() {
        fn worker(end: Event) -> impl FnOnce(&RoutineQuitter) + Send + 'static {
            move |_| end.wait()
        }
        let root = Quitter::root("root");
        let ends = [Event::new(), Event::new(), Event::new()];
        let handles = ends
            .clone()
            .map(|end| root.add_routine(worker(end)).unwrap());
        let all = root.wait_done(Duration::ZERO).unwrap_err();
        assert_eq!(ids(&all), handles.each_ref().map(|handle| handle.id()));
        assert_eq!(names(&all), ["closure in worker"; 3]);

        ends[0].set();
        ends[2].set();
        handles[0].wait(PATIENCE).unwrap();
        handles[2].wait(PATIENCE).unwrap();
        assert_eq!(
            ids(&root.wait_done(Duration::ZERO).unwrap_err()),
            [handles[1].id()]
        );
        ends[1].set();
        root.wait_done(PATIENCE).unwrap();
    }

    #[test]
    fn children_of_one_name_are_listed_apart() {
        let root = Quitter::root("main");
        let twins = ["main", "main"].map(|name| root.child(name).unwrap());
        let guards = twins.each_ref().map(|twin| twin.guard("guard").unwrap());
        let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
        assert_eq!(paths(&timeouts), ["main/main", "main/main"]);
        assert_eq!(ids(&timeouts), guards.each_ref().map(|guard| guard.id()));
        assert!(twins[0].wait_done(Duration::ZERO).unwrap_err().len() == 1);
    }

    #[test]
    fn a_wait_covers_the_subtree_and_nothing_else() {
        let root = Quitter::root("root");
        let [a, b] = ["a", "b"].map(|name| root.child(name).unwrap());
        let below = a.child("below").unwrap().guard("guard").unwrap();
        b.wait_done(Duration::ZERO).unwrap();
        assert_eq!(ids(&a.wait_done(Duration::ZERO).unwrap_err()), [below.id()]);
    }

    #[test]
    fn a_list_begins_with_the_quitters_below_and_keeps_the_order_of_making() {
        let root = Quitter::root("root");
        let first = root.guard("of root").unwrap();
        let a = root.child("a").unwrap();
        let b = root.child("b").unwrap();
        let below = a.child("below").unwrap();
        let guards = [&below, &a, &a, &b].map(|quitter| quitter.guard("guard").unwrap());
        let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
        assert_eq!(
            paths(&timeouts),
            ["root/a/below", "root/a", "root/b", "root"]
        );
        let [of_below, of_a, of_a_2, of_b] = guards.each_ref().map(|guard| guard.id());
        assert_eq!(ids(&timeouts), [of_below, of_a, of_a_2, of_b, first.id()]);
    }

    #[test]
    fn a_routine_is_done_only_when_what_it_captured_is_dropped() {
        struct Slow(Event, Arc<AtomicBool>);
        impl Drop for Slow {
            fn drop(&mut self) {
                self.0.wait();
                self.1.store(true, Ordering::SeqCst);
            }
        }
        let root = Quitter::root("root");
        let (returned, go, dropped) = (Event::new(), Event::new(), Arc::default());
        let slow = Slow(go.clone(), Arc::clone(&dropped));
        let returns = returned.clone();
        let handle = root
            .add_routine(move |_| {
                let _captured = &slow;
                returns.set();
            })
            .unwrap();
        returned.wait();
        assert!(!handle.is_finished());
        assert_eq!(ids(&root.wait_done(SHORT).unwrap_err()), [handle.id()]);
        go.set();
        root.wait_done(PATIENCE).unwrap();
        assert!(dropped.load(Ordering::SeqCst));
    }

    #[test]
    fn waits_from_many_threads_at_once_all_end() {
        let root = Quitter::root("root");
        let child = root.child("child").unwrap();
        let ends: Vec<_> = [&root, &child].map(|q| deaf(q, "deaf").1).into();
        let waiters: Vec<_> = (0..20)
            .map(|at| {
                if at % 2 == 0 {
                    root.clone()
                } else {
                    child.clone()
                }
            })
            .map(|quitter| thread::spawn(move || quitter.wait_done(6 * PATIENCE)))
            .collect();
        fall_asleep();
        for end in ends {
            end.set();
        }
        in_time(|| {
            waiters
                .into_iter()
                .for_each(|waiter| waiter.join().unwrap().unwrap())
        });
    }
}

mod reports {
    use super::*;

    #[test]
    fn a_timeout_lists_path_name_number_place_and_status() {
        let root = Quitter::root("main");
        let child = root.child("childQuitter").unwrap();
        let (line, guard) = (line!(), child.guard("flusher").unwrap());
        guard.set_status("flushing 3/10");
        guard.set_status(format!("flushing {}/10", 4));
        let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
        assert_eq!(paths(&timeouts), ["main/childQuitter"]);
        let stuck = only(&timeouts);
        assert_eq!((stuck.id, &stuck.name[..]), (guard.id(), "flusher"));
        assert_eq!(
            (stuck.spawned_at.file(), stuck.spawned_at.line()),
            (file!(), line)
        );
        assert_eq!(stuck.status.as_deref(), Some("flushing 4/10"));
    }

    #[test]
    fn the_place_of_a_forked_routine_is_where_it_was_added() {
        let root = Quitter::root("root");
        let end = Event::new();
        let [a, b, c] = [0, 1, 2].map(|_| end.clone());
        let line = line!();
        root.add_routine(move |_| a.wait()).unwrap();
        root.routine("built").add(move |_| b.wait()).unwrap();
        let guard = root.guard("guard").unwrap();
        guard.add_routine(move |_| c.wait()).unwrap();
        let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
        let places: Vec<_> = timeouts
            .routines()
            .map(|r| (r.spawned_at.file(), r.spawned_at.line() - line))
            .collect();
        assert_eq!(places, [1, 2, 3, 4].map(|below| (file!(), below)));
        end.set();
        drop(guard);
        root.wait_done(PATIENCE).unwrap();
    }

    #[test]
    fn a_routine_that_never_asked_its_quitter_was_never_seen() {
        let root = Quitter::root("root");
        let _guard = root.guard("guard").unwrap();
        let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
        assert_eq!(only(&timeouts).last_seen, None);
        assert!(
            timeouts.to_string().contains(", never asked its quitter"),
            "{timeouts}"
        );
    }

    #[test]
    fn the_last_call_is_seen_with_its_place_and_without_a_time() {
        let root = Quitter::root("root");
        let guard = root.guard("guard").unwrap();
        let calls: [fn(&RoutineQuitter) -> u32; 7] = [
            |q| (line!(), q.has_to_quit()).0,
            |q| (line!(), q.quit_chan()).0,
            |q| (line!(), q.deadline()).0,
            |q| (line!(), q.quit_cause()).0,
            |q| (line!(), q.set_status("status")).0,
            |q| (line!(), q.child("child").unwrap()).0,
            |q| (line!(), q.add_routine(|_| {}).unwrap()).0,
        ];
        for call in calls {
            let line = call(&guard);
            eventually(|| root.wait_done(Duration::ZERO).unwrap_err().len() == 1);
            let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
            let seen = only(&timeouts).last_seen.unwrap();
            assert_eq!((seen.file(), seen.at.line()), (file!(), line));
            assert_eq!(seen.ago, None);
        }
    }

    #[test]
    fn a_call_that_blocks_is_seen_with_the_time_since_it_began() {
        let root = Quitter::root("root");
        let (lines, line) = mpsc::channel();
        let calls: [fn(&RoutineQuitter, mpsc::Sender<u32>); 3] = [
            |q, line| (line.send(line!()).unwrap(), q.wait_quit()).1,
            |q, line| (line.send(line!()).unwrap(), q.sleep(Duration::MAX)).0,
            |q, line| (line.send(line!()).unwrap(), q.ticks(Duration::MAX).next()).0,
        ];
        for call in calls {
            let (child, lines) = (root.child("child").unwrap(), lines.clone());
            let from = Instant::now();
            child
                .add_routine(move |q: &RoutineQuitter| call(q, lines))
                .unwrap();
            let line = line.recv_timeout(PATIENCE).unwrap();
            let look = || {
                let timeouts = child.wait_done(Duration::ZERO).unwrap_err();
                only(&timeouts).last_seen
            };
            eventually(|| look().is_some());
            let seen = look().unwrap();
            assert_eq!((seen.file(), seen.at.line()), (file!(), line));
            let ago = seen.ago.unwrap();
            assert!(ago <= from.elapsed());
            eventually(|| look().unwrap().ago.unwrap() > ago + Duration::from_millis(5));
            child.quit_and_wait(PATIENCE).unwrap();
        }
    }

    #[test]
    fn calls_on_a_plain_quitter_leave_no_trace() {
        let root = Quitter::root("root");
        let _guard = root.guard("guard").unwrap();
        assert!(!root.has_to_quit());
        root.sleep(Duration::ZERO).unwrap();
        assert_eq!(
            only(&root.wait_done(Duration::ZERO).unwrap_err()).last_seen,
            None
        );
    }

    #[test]
    fn a_list_reads_as_the_documentation_shows_it() {
        let root = Quitter::root("main");
        let child = root.child("childQuitter").unwrap();
        let a = child.guard("child_heartbeat_b").unwrap();
        let _b = root.guard("main_heartbeat").unwrap();
        a.set_status("flushing 3/10");
        let text = root.wait_done(Duration::ZERO).unwrap_err().to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 5, "{text}");
        assert!(
            lines[0].starts_with("2 routines had not returned after 0"),
            "{text}"
        );
        assert_eq!(lines[1], "  main/childQuitter");
        assert!(
            lines[2].starts_with("    child_heartbeat_b  running "),
            "{text}"
        );
        assert!(
            lines[2].contains(concat!(" s, spawned at ", file!(), ":")),
            "{text}"
        );
        assert!(
            lines[2].contains(concat!(", last seen at ", file!(), ":")),
            "{text}"
        );
        assert!(lines[2].ends_with(", status \"flushing 3/10\""), "{text}");
        assert_eq!(lines[3], "  main");
        assert!(
            lines[4].starts_with("    main_heartbeat     running "),
            "{text}"
        );
        assert!(lines[4].ends_with(", never asked its quitter"), "{text}");
    }

    #[test]
    fn the_running_time_is_that_of_the_routine() {
        let root = Quitter::root("root");
        let from = Instant::now();
        let _guard = root.guard("guard").unwrap();
        let first = root.wait_done(Duration::ZERO).unwrap_err();
        let later = root.wait_done(SHORT).unwrap_err();
        // The system's coarse clock ticks at least 100 times a second.
        let tick = Duration::from_millis(10);
        assert!(only(&later).running_for <= from.elapsed() + tick);
        assert!(only(&later).running_for >= only(&first).running_for + SHORT);
        assert!(later.after() >= SHORT);
    }

    #[test]
    fn a_list_can_be_walked_by_reference_and_by_value() {
        let root = Quitter::root("root");
        let _guards = ["a", "b"].map(|name| root.guard(name).unwrap());
        let timeouts = root.wait_done(Duration::ZERO).unwrap_err();
        assert_eq!((timeouts.len(), timeouts.is_empty()), (2, false));
        let mut by_reference = 0;
        for at in &timeouts {
            by_reference += at.routines.len();
        }
        assert_eq!(by_reference, 2);
        let by_value: Vec<_> = timeouts.into_iter().map(|at| at.quitter).collect();
        assert_eq!(by_value, ["root"]);
    }
}

mod rule_5_one_deadline {
    use super::*;

    /// Far less than the longer timeouts here, and far more than a loaded machine adds.
    const SOON: Duration = Duration::from_secs(5);

    #[test]
    fn a_wait_ends_at_its_timeout_and_not_before() {
        let root = Quitter::root("root");
        let _guard = root.guard("guard").unwrap();
        let from = Instant::now();
        assert!(root.wait_done(SHORT).is_err());
        assert!(from.elapsed() >= SHORT);
        assert!(from.elapsed() < SOON);
    }

    #[test]
    fn routines_see_the_deadline_of_quit_and_wait() {
        let root = Quitter::root("root");
        let child = root.child("child").unwrap();
        let (send, seen) = mpsc::channel();
        child
            .add_routine(move |q: &RoutineQuitter| {
                send.send(q.deadline()).unwrap();
                q.wait_quit();
                send.send(q.deadline()).unwrap();
            })
            .unwrap();
        assert_eq!(seen.recv_timeout(PATIENCE), Ok(None));
        let from = Instant::now();
        root.quit_and_wait(PATIENCE).unwrap();
        let deadline = seen.recv().unwrap().unwrap();
        assert!(deadline >= from + PATIENCE && deadline <= Instant::now() + PATIENCE);
        assert_eq!(root.deadline(), Some(deadline));
        assert_eq!(child.deadline(), Some(deadline));
    }

    #[test]
    fn send_quit_sets_no_deadline() {
        let root = Quitter::root("root");
        root.send_quit();
        assert_eq!(root.deadline(), None);
    }

    #[test]
    fn the_earliest_deadline_counts_whichever_comes_first() {
        let hour = Duration::from_secs(3600);
        for timeouts in [[hour, 2 * hour], [2 * hour, hour]] {
            let root = Quitter::root("root");
            let child = root.child("child").unwrap();
            let from = Instant::now();
            for timeout in timeouts {
                root.quit_and_wait(timeout).unwrap();
            }
            for quitter in [&root, &child] {
                let deadline = quitter.deadline().unwrap();
                assert!(deadline >= from + hour && deadline < from + hour + SOON);
            }
        }
    }

    #[test]
    fn a_childs_deadline_is_the_earlier_of_its_own_and_the_one_above() {
        let hour = Duration::from_secs(3600);
        for (of_child, of_root) in [(hour, 2 * hour), (2 * hour, hour)] {
            let root = Quitter::root("root");
            let child = root.child("child").unwrap();
            let guard = child.child("below").unwrap().guard("guard").unwrap();
            drop(thread::spawn(move || child.quit_and_wait(of_child)));
            in_time({
                let guard = (*guard).clone();
                move || guard.wait_quit()
            });
            drop(thread::spawn({
                let root = root.clone();
                move || root.quit_and_wait(of_root)
            }));
            in_time({
                let root = root.clone();
                move || root.wait_quit()
            });
            let in_an_hour = Instant::now() + hour;
            let deadline = guard.deadline().unwrap();
            assert!(deadline <= in_an_hour && deadline > in_an_hour - SOON);
        }
    }

    #[test]
    fn a_wait_that_runs_ends_by_an_earlier_deadline_set_above() {
        let root = Quitter::root("root");
        let child = root.child("child").unwrap();
        let guard = child.child("below").unwrap().guard("guard").unwrap();
        let inner = thread::spawn(move || (child.quit_and_wait(6 * PATIENCE), Instant::now()));
        in_time({
            let guard = (*guard).clone();
            move || guard.wait_quit()
        });
        let from = Instant::now();
        assert!(root.quit_and_wait(SHORT).is_err());
        let (timeouts, at) = inner.join().unwrap();
        assert_eq!(ids(&timeouts.unwrap_err()), [guard.id()]);
        assert!(at >= from + SHORT && at < from + SOON);
    }

    #[test]
    fn a_plain_wait_that_runs_ends_by_the_deadline_of_a_quit() {
        let root = Quitter::root("root");
        let (handle, end) = deaf(&root, "deaf");
        let waiter = {
            let root = root.clone();
            thread::spawn(move || root.wait_done(6 * PATIENCE))
        };
        fall_asleep();
        let from = Instant::now();
        assert!(root.quit_and_wait(SHORT).is_err());
        assert_eq!(ids(&waiter.join().unwrap().unwrap_err()), [handle.id()]);
        assert!(from.elapsed() < SOON);
        end.set();
    }

    #[test]
    fn supervisors_at_every_level_share_the_deadline_of_the_top() {
        const LEVELS: usize = 20;
        let root = Quitter::root("root");
        let stuck = Event::new();
        let mut quitter = root.clone();
        for _ in 0..LEVELS {
            let child = quitter.child("child").unwrap();
            let below = child.clone();
            quitter
                .routine("supervisor")
                .on_failure(OnFailure::Record)
                .add(move |q: &RoutineQuitter| {
                    q.wait_quit();
                    below.quit_and_wait(6 * PATIENCE)
                })
                .unwrap();
            quitter = child;
        }
        let deaf = {
            let stuck = stuck.clone();
            quitter.routine("deaf").add(move |_| stuck.wait()).unwrap()
        };
        let from = Instant::now();
        let timeouts = root.quit_and_wait(SHORT).unwrap_err();
        assert!(from.elapsed() < SOON);
        assert_eq!(ids(&timeouts)[0], deaf.id());
        eventually(|| root.failures().len() == LEVELS);
        assert!(from.elapsed() < SOON);
        stuck.set();
    }

    #[test]
    fn waits_from_many_threads_at_once_end_by_one_deadline() {
        let root = Quitter::root("root");
        let guard = root.child("child").unwrap().guard("guard").unwrap();
        let from = Instant::now();
        let waiters: Vec<_> = (0..20)
            .map(|_| root.clone())
            .map(|root| thread::spawn(move || root.quit_and_wait(2 * SHORT)))
            .collect();
        for waiter in waiters {
            assert_eq!(ids(&waiter.join().unwrap().unwrap_err()), [guard.id()]);
        }
        assert!(from.elapsed() < SOON);
    }

    #[test]
    fn a_wait_over_ten_thousand_stuck_routines_ends_by_its_deadline_and_lists_them_all() {
        let root = Quitter::root("root");
        let guards: Vec<_> = (0..10_000)
            .map(|_| root.child("child").unwrap().guard("guard").unwrap())
            .collect();
        let from = Instant::now();
        let timeouts = root.quit_and_wait(SHORT).unwrap_err();
        assert!(from.elapsed() < SOON);
        let wanted: Vec<_> = guards.iter().map(|guard| guard.id()).collect();
        assert_eq!(ids(&timeouts), wanted);
    }

    /// A server with many idle connections and some short work now and then.
    #[test]
    fn a_wait_over_a_large_tree_in_which_work_comes_and_goes_ends_by_its_deadline() {
        let root = Quitter::root("root");
        let _idle: Vec<_> = (0..100_000).map(|_| root.child("idle").unwrap()).collect();
        let over = Arc::new(AtomicBool::new(false));
        let worker = {
            let (over, child) = (Arc::clone(&over), root.child("busy").unwrap());
            thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    drop(child.guard("short").unwrap());
                    thread::sleep(Duration::from_millis(1));
                }
            })
        };
        let (send, waited) = mpsc::channel();
        let from = Instant::now();
        drop(thread::spawn(move || send.send(root.wait_done(SHORT))));
        let in_time = waited.recv_timeout(SOON);
        over.store(true, Ordering::Relaxed);
        worker.join().unwrap();
        assert!(in_time.is_ok(), "still waiting after {:?}", from.elapsed());
    }

    #[test]
    fn the_longest_durations_overflow_nothing() {
        for long in [Duration::MAX, Duration::MAX / 2, Duration::MAX / 4] {
            let root = Quitter::root("root");
            let start = Arc::new(Barrier::new(5));
            let sleepers: [fn(&RoutineQuitter, Duration); 4] = [
                |q, long| assert_eq!(q.sleep(long), Err(Quitting)),
                |q, long| assert_eq!(q.ticks(long).next(), None),
                |q, long| assert_eq!(q.ticks(long).count(), 0),
                |q, _| q.wait_quit(),
            ];
            for sleeper in sleepers {
                let start = Arc::clone(&start);
                root.add_routine(move |q: &RoutineQuitter| {
                    start.wait();
                    sleeper(q, long);
                })
                .unwrap();
            }
            let whole = root.clone();
            let waiter = thread::spawn(move || whole.wait_done(long));
            start.wait();
            let whole = root.clone();
            in_time(move || whole.quit_and_wait(long)).unwrap();
            waiter.join().unwrap().unwrap();
            let handle = in_time(move || {
                let root = Quitter::root("root");
                let handle = root.add_routine(|_| {}).unwrap();
                handle.wait(long).unwrap();
                handle
            });
            assert!(handle.is_finished());
            assert!(root.failures().is_empty(), "{:?}", root.failures());
        }
    }

    #[test]
    fn after_a_wait_has_timed_out_one_can_wait_again() {
        let root = Quitter::root("root");
        let child = root.child("child").unwrap();
        let (release, released) = mpsc::channel::<()>();
        let handle = child
            .add_routine(move |_| {
                let _ = released.recv();
            })
            .unwrap();
        assert!(child.quit_and_wait(SHORT).is_err());
        assert!(root.quit_and_wait(SHORT).is_err());
        let waits = [
            thread::spawn({
                let root = root.clone();
                move || root.wait_done(PATIENCE)
            }),
            thread::spawn(move || child.wait_done(PATIENCE)),
            thread::spawn(move || handle.wait(PATIENCE)),
        ];
        // Each would have timed out by now if past deadlines counted.
        assert!(root.wait_done(SHORT).is_err());
        drop(release);
        for wait in waits {
            wait.join().unwrap().unwrap();
        }
    }

    #[test]
    fn duration_max_is_no_deadline() {
        let root = Quitter::root("root");
        root.quit_and_wait(Duration::MAX).unwrap();
        assert_eq!(root.deadline(), None);
    }
}

mod rule_7_finished_leaves_nothing {
    use super::*;

    #[test]
    fn a_clone_that_outlives_its_routine_keeps_nothing_live() {
        let root = Quitter::root("root");
        let child = root.child("child").unwrap();
        let (send, clones) = mpsc::channel();
        child
            .add_routine(move |q: &RoutineQuitter| send.send(q.clone()).unwrap())
            .unwrap();
        let clone = clones.recv_timeout(PATIENCE).unwrap();
        root.wait_done(PATIENCE).unwrap();
        // The clone still works as a handle.
        assert!(!clone.has_to_quit());
        clone.set_status("after the end");
        root.wait_done(Duration::ZERO).unwrap();
        root.quit_and_wait(Duration::ZERO).unwrap();
        assert!(clone.has_to_quit());
        assert_eq!(clone.sleep(Duration::MAX), Err(Quitting));
    }

    #[test]
    fn a_guards_clone_keeps_nothing_live() {
        let root = Quitter::root("root");
        let guard = root.guard("guard").unwrap();
        let clone = (*guard).clone();
        drop(guard);
        root.wait_done(Duration::ZERO).unwrap();
        assert_eq!(clone.name(), "guard");
    }

    #[test]
    fn a_handle_keeps_nothing_live() {
        let root = Quitter::root("root");
        let handle = root.child("child").unwrap().add_routine(|_| {}).unwrap();
        root.wait_done(PATIENCE).unwrap();
        assert!(handle.is_finished());
        handle.wait(Duration::ZERO).unwrap();
    }

    #[test]
    fn what_a_routine_captured_is_dropped_when_it_is_done() {
        let root = Quitter::root("root");
        let captured = Arc::new(());
        let inside = Arc::clone(&captured);
        let handle = root
            .add_routine(move |_| drop(Arc::clone(&inside)))
            .unwrap();
        handle.wait(PATIENCE).unwrap();
        assert_eq!(Arc::strong_count(&captured), 1);
    }
}

mod rule_9_no_wake_is_lost {
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
        let start = Arc::new(Barrier::new(4 * SLEEPERS.len() + 1));
        for sleeper in [SLEEPERS; 4].into_iter().flatten() {
            let start = Arc::clone(&start);
            root.child("child")
                .unwrap()
                .add_routine(move |q: &RoutineQuitter| {
                    start.wait();
                    sleeper(q);
                })
                .unwrap();
        }
        start.wait();
        fall_asleep();
        root.quit_and_wait(PATIENCE).unwrap();
        assert!(root.failures().is_empty(), "{:?}", root.failures());
    }

    /// The quit comes at any moment while the thread falls asleep.
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
        let start = Arc::new(Barrier::new(5));
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
            let (child, start) = (root.child("child").unwrap(), Arc::clone(&start));
            thread::spawn(move || {
                start.wait();
                sleeper(&child);
            })
        });
        start.wait();
        fall_asleep();
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
            thread::spawn(move || handle.wait(6 * PATIENCE))
        });
        fall_asleep();
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
}

/// Many threads at once: the quit wakes a few of them, which wake the others; and the end of their
/// threads is put off while another thread waits.
mod crowds {
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
        // Returns when all senders are gone, which this thread waits for.
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
}

mod ticks {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(20);

    #[test]
    fn the_first_tick_comes_after_one_period_and_the_beat_is_kept() {
        let root = Quitter::root("root");
        let from = Instant::now();
        let mut ticks = root.ticks(PERIOD);
        let first = ticks.next().unwrap();
        assert!(Instant::now() >= from + PERIOD);
        assert!(first >= from + PERIOD);
        let second = ticks.next().unwrap();
        assert!(Instant::now() >= second);
        let beats = second.duration_since(first).as_nanos() / PERIOD.as_nanos();
        assert_eq!(second, first + PERIOD * u32::try_from(beats).unwrap());
        assert!(beats >= 1);
    }

    #[test]
    fn of_the_ticks_that_a_busy_loop_missed_at_most_one_comes_late() {
        let root = Quitter::root("root");
        let mut ticks = root.ticks(PERIOD);
        let first = ticks.next().unwrap();
        // The sleep is the thing under test: the loop's body takes more than five periods.
        thread::sleep(5 * PERIOD);
        let busy_until = Instant::now();
        let next: Vec<_> = ticks.by_ref().take(3).collect();
        let late = next.iter().filter(|tick| **tick < busy_until);
        assert!(late.count() <= 1, "{:?}", next);
        for tick in next {
            let off_beat = tick.duration_since(first).as_nanos() % PERIOD.as_nanos();
            assert_eq!(off_beat, 0);
        }
    }

    #[test]
    fn a_period_of_zero_ticks_as_fast_as_the_loop_goes() {
        let root = Quitter::root("root");
        assert_eq!(
            in_time(move || root.ticks(Duration::ZERO).take(1000).count()),
            1000
        );
    }

    #[test]
    fn ticks_end_on_quit_even_when_one_is_due() {
        let root = Quitter::root("root");
        let mut ticks = root.ticks(Duration::from_nanos(1));
        ticks.next().unwrap();
        root.send_quit();
        assert_eq!(ticks.next(), None);
        assert_eq!(ticks.next(), None);
    }
}

mod rule_10_a_failure_is_never_silent {
    use super::*;

    /// The failures of a tree whose only routine is `f`, and the root's quit cause.
    fn failures_of<R>(
        f: impl FnOnce(&RoutineQuitter) -> R + Send + 'static,
    ) -> (Vec<quitter_core::RoutineFailure>, Option<QuitCause>)
    where
        R: quitter_core::RoutineOutcome,
    {
        let root = Quitter::root("root");
        let child = root.child("child").unwrap();
        child.routine("routine").add(f).unwrap();
        root.wait_done(PATIENCE).unwrap();
        (root.failures(), root.quit_cause())
    }

    #[track_caller]
    fn counts_as_returned<R>(f: impl FnOnce(&RoutineQuitter) -> R + Send + 'static)
    where
        R: quitter_core::RoutineOutcome,
    {
        let (failures, cause) = failures_of(f);
        assert!(failures.is_empty(), "{failures:?}");
        assert_eq!(cause, None);
    }

    #[test]
    fn a_panic_is_recorded_with_its_message_and_place() {
        let line = line!() + 1;
        let (failures, cause) = failures_of(|_| panic!("the disk is {}", "full"));
        let [failure] = &failures[..] else {
            panic!("{failures:?}");
        };
        assert_eq!(
            (&failure.path[..], &failure.name[..]),
            ("root/child", "routine")
        );
        assert_eq!(failure.spawned_at.file(), file!());
        assert!(!failure.while_quitting);
        let FailureKind::Panic { message, place } = &failure.kind else {
            panic!("{failure:?}");
        };
        assert_eq!(message, "the disk is full");
        let place = place.as_deref().unwrap();
        assert!(
            place.starts_with(&format!("{}:{line}:", file!())),
            "{place}"
        );
        let (path, name) = ("root/child".to_owned(), "routine".to_owned());
        assert_eq!(cause, Some(QuitCause::RoutineFailed { path, name }));
    }

    #[test]
    fn an_error_is_recorded_with_its_sources() {
        let (failures, cause) = failures_of(|_| {
            let inner = Wrapped("no space left", std::fmt::Error);
            Err::<(), _>(Wrapped("cannot flush", inner))
        });
        let sources = vec!["no space left".to_owned(), std::fmt::Error.to_string()];
        let message = "cannot flush".to_owned();
        assert_eq!(failures.len(), 1);
        assert_eq!(failures[0].kind, FailureKind::Error { message, sources });
        assert!(cause.is_some());
    }

    #[test]
    fn a_failure_carries_the_number_and_place_of_its_routine() {
        let root = Quitter::root("root");
        let line = line!() + 1;
        let handle = root.add_routine(|_| Err::<(), _>("error")).unwrap();
        handle.wait(PATIENCE).unwrap();
        let failure = &root.failures()[0];
        assert_eq!((failure.id, failure.spawned_at.line()), (handle.id(), line));
    }

    #[test]
    fn a_failure_during_the_quit_says_so() {
        let root = Quitter::root("root");
        root.add_routine(|q: &RoutineQuitter| {
            q.wait_quit();
            Err::<(), _>("flush failed")
        })
        .unwrap();
        root.quit_and_wait(PATIENCE).unwrap();
        assert!(root.failures()[0].while_quitting);
        assert!(matches!(
            root.quit_cause(),
            Some(QuitCause::SendQuit { .. })
        ));
    }

    #[test]
    fn a_failure_is_there_when_the_wait_is_over() {
        for _ in 0..300 {
            let root = Quitter::root("root");
            let handle = root.add_routine(|_| Err::<(), _>("error")).unwrap();
            handle.wait(PATIENCE).unwrap();
            assert_eq!(root.failures().len(), 1);
            assert!(root.has_to_quit());
        }
    }

    #[test]
    fn a_failure_quits_the_root_by_default() {
        let root = Quitter::root("root");
        let [a, b] = ["a", "b"].map(|name| root.child(name).unwrap());
        a.add_routine(|_| Err::<(), _>("error")).unwrap();
        root.wait_done(PATIENCE).unwrap();
        assert!(root.has_to_quit() && a.has_to_quit() && b.has_to_quit());
    }

    #[test]
    fn a_failure_quits_its_own_quitter_where_asked() {
        let root = Quitter::root("root");
        let [a, b] = ["a", "b"].map(|name| root.child(name).unwrap());
        let below = a.child("below").unwrap();
        let panics = a.routine("fails").on_failure(OnFailure::QuitOwn);
        panics.add(|_| panic!("fails")).unwrap();
        root.wait_done(PATIENCE).unwrap();
        assert!(a.has_to_quit() && below.has_to_quit());
        assert!(!root.has_to_quit() && !b.has_to_quit());
        let (path, name) = ("root/a".to_owned(), "fails".to_owned());
        assert_eq!(
            below.quit_cause(),
            Some(QuitCause::RoutineFailed { path, name })
        );
        assert_eq!(root.failures().len(), 1);
    }

    #[test]
    fn a_failure_is_only_recorded_where_asked() {
        let root = Quitter::root("root");
        let child = root.child("child").unwrap();
        let fails = child.routine("fails").on_failure(OnFailure::Record);
        fails.add(|_| Err::<(), _>("error")).unwrap();
        root.wait_done(PATIENCE).unwrap();
        assert!(!child.has_to_quit());
        assert_eq!(
            root.failures()[0].to_string(),
            "routine 'fails' of root/child failed: error"
        );
    }

    #[test]
    fn failures_are_the_whole_trees_in_their_order() {
        let root = Quitter::root("root");
        let child = root.child("child").unwrap();
        for name in ["a", "b", "c"] {
            let fails = child.routine(name).on_failure(OnFailure::Record);
            fails
                .add(|_| Err::<(), _>("error"))
                .unwrap()
                .wait(PATIENCE)
                .unwrap();
        }
        let names: Vec<_> = child
            .failures()
            .into_iter()
            .map(|failure| failure.name)
            .collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(root.failures().len(), 3);
    }

    #[test]
    fn returning_is_no_failure() {
        counts_as_returned(|_| {});
        counts_as_returned(|_| Ok::<_, String>(()));
        counts_as_returned(|_| Ok::<_, Quitting>(()));
    }

    #[test]
    fn quitting_is_no_failure_bare() {
        counts_as_returned(|_| Err::<(), _>(Quitting));
    }

    #[test]
    fn quitting_is_no_failure_after_a_real_quit() {
        fn flusher(q: &RoutineQuitter) -> Result<(), Quitting> {
            loop {
                q.sleep(Duration::MAX)?;
            }
        }
        let root = Quitter::root("root");
        root.add_routine(flusher).unwrap();
        root.quit_and_wait(PATIENCE).unwrap();
        assert!(root.failures().is_empty(), "{:?}", root.failures());
    }

    #[test]
    fn quitting_is_no_failure_as_a_source() {
        counts_as_returned(|_| Err::<(), _>(Wrapped("outer", Wrapped("inner", Quitting))));
    }

    #[test]
    fn quitting_is_no_failure_inside_an_io_error() {
        counts_as_returned(|_| Err::<(), _>(std::io::Error::other(Quitting)));
        let inner = || std::io::Error::new(std::io::ErrorKind::Interrupted, Quitting);
        counts_as_returned(move |_| Err::<(), _>(Wrapped("outer", inner())));
    }

    #[test]
    fn quitting_is_no_failure_inside_anyhow() {
        use anyhow::Context;
        counts_as_returned(|_| Err::<(), _>(anyhow::Error::new(Quitting)));
        counts_as_returned(|_| {
            Err::<(), _>(Quitting)
                .context("flushing")
                .context("at the end")
        });
    }

    #[test]
    fn quitting_is_no_failure_boxed() {
        use std::error::Error;
        counts_as_returned(|_| Err::<(), _>(Box::<dyn Error + Send + Sync>::from(Quitting)));
        let boxed = || -> Box<dyn Error + Send + Sync> { Wrapped("outer", Quitting).into() };
        counts_as_returned(move |_| Err::<(), _>(boxed()));
    }

    #[test]
    fn being_refused_because_of_the_quit_is_no_failure() {
        counts_as_returned(|_| Err::<(), _>(AddRoutineError::Quitting));
        counts_as_returned(|_| Err::<(), _>(Wrapped("outer", AddRoutineError::Quitting)));
        let root = Quitter::root("root");
        root.add_routine(|q: &RoutineQuitter| {
            q.wait_quit();
            q.add_routine(|_| {}).map(drop)
        })
        .unwrap();
        root.quit_and_wait(PATIENCE).unwrap();
        assert!(root.failures().is_empty(), "{:?}", root.failures());
    }

    #[test]
    fn an_error_that_only_sounds_like_quitting_is_a_failure() {
        let (failures, _) = failures_of(|_| Err::<(), _>(Quitting.to_string()));
        assert_eq!(failures.len(), 1);
    }

    #[test]
    fn closures_and_functions_that_never_return_are_routines() {
        fn forever(q: &RoutineQuitter) -> ! {
            q.wait_quit();
            panic!("had to quit")
        }
        let root = Quitter::root("root");
        let never = root.add_routine(forever).unwrap();
        root.routine("never")
            .add(|q: &RoutineQuitter| -> ! {
                q.wait_quit();
                panic!("closure had to quit")
            })
            .unwrap();
        assert_eq!(never.name(), "forever");
        root.quit_and_wait(PATIENCE).unwrap();
        let mut texts: Vec<_> = root.failures().into_iter().map(|f| f.name).collect();
        texts.sort();
        assert_eq!(texts, ["forever", "never"]);
    }

    #[test]
    fn a_panic_in_the_drop_of_a_captured_value_is_recorded() {
        let bomb = Bomb("captured");
        let (failures, _) = failures_of(move |_| {
            let _captured = &bomb;
        });
        let FailureKind::Panic { message, place } = &failures[0].kind else {
            panic!("{failures:?}");
        };
        assert_eq!((&message[..], place.is_some()), ("captured", true));
    }

    #[test]
    fn a_panic_in_the_drop_of_a_panics_payload_does_not_hide_the_first_panic() {
        let (failures, cause) = failures_of(|_| std::panic::panic_any(Bomb("payload")));
        let FailureKind::Panic { message, .. } = &failures[0].kind else {
            panic!("{failures:?}");
        };
        assert_eq!(message, "a value that is not a string");
        assert!(cause.is_some());
    }

    #[test]
    fn a_panic_in_the_drop_of_a_panics_payload_leaves_the_first_place() {
        let line = line!() + 1;
        let (failures, _) = failures_of(|_| std::panic::panic_any(Bomb("payload")));
        let FailureKind::Panic { place, .. } = &failures[0].kind else {
            panic!("{failures:?}");
        };
        let place = place.as_deref().expect("the hook was told the place");
        assert!(
            place.starts_with(&format!("{}:{line}:", file!())),
            "{place}"
        );
    }

    #[test]
    fn a_panic_in_the_text_or_drop_of_an_error_is_recorded() {
        #[derive(Debug)]
        struct Unspeakable;
        impl std::fmt::Display for Unspeakable {
            fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                panic!("unspeakable")
            }
        }
        impl std::error::Error for Unspeakable {}
        let (failures, _) = failures_of(|_| Err::<(), _>(Unspeakable));
        assert!(
            failures[0].to_string().contains("unspeakable"),
            "{failures:?}"
        );
    }

    #[test]
    fn a_panic_that_passes_the_hook_by_has_its_message_and_no_place() {
        let (failures, _) = failures_of(|_| {
            assert!(catch_unwind(|| panic!("caught inside")).is_err());
            std::panic::resume_unwind(Box::new("resumed"))
        });
        let (message, place) = ("resumed".to_owned(), None);
        assert_eq!(failures[0].kind, FailureKind::Panic { message, place });
    }

    #[test]
    fn a_guard_dropped_by_a_panic_records_it() {
        let root = Quitter::root("root");
        let line = line!() + 3;
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _guard = root.guard("request").unwrap();
            panic!("in the request");
        }));
        assert!(panicked.is_err());
        root.wait_done(Duration::ZERO).unwrap();
        assert!(root.has_to_quit());
        let failure = &root.failures()[0];
        let FailureKind::Panic { message, place } = &failure.kind else {
            panic!("{failure:?}");
        };
        assert_eq!(
            (&failure.name[..], &message[..]),
            ("request", "in the request")
        );
        let place = place.as_deref().unwrap();
        assert!(
            place.starts_with(&format!("{}:{line}:", file!())),
            "{place}"
        );
    }

    #[test]
    fn every_guard_that_a_panic_drops_records_message_and_place() {
        let root = Quitter::root("root");
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let guard = |name| {
                let guarded = root.routine(name).on_failure(OnFailure::Record);
                guarded.guard().unwrap()
            };
            let _guards = [guard("outer"), guard("inner")];
            panic!("in the request");
        }));
        assert!(panicked.is_err());
        let failures = root.failures();
        assert_eq!(failures.len(), 2);
        for failure in failures {
            let FailureKind::Panic { message, place } = &failure.kind else {
                panic!("{failure:?}");
            };
            assert_eq!(message, "in the request", "{failure}");
            assert!(place.is_some(), "{failure}");
        }
    }

    #[test]
    fn a_routine_that_panics_while_it_holds_a_guard_keeps_the_place_too() {
        let (failures, _) = failures_of(|q: &RoutineQuitter| {
            let _guard = q.guard("guard").unwrap();
            panic!("both fail");
        });
        assert_eq!(failures.len(), 2);
        for failure in failures {
            let FailureKind::Panic { message, place } = &failure.kind else {
                panic!("{failure:?}");
            };
            assert_eq!(message, "both fail", "{failure}");
            assert!(place.is_some(), "{failure}");
        }
    }

    #[test]
    fn a_guard_does_not_tell_of_a_panic_that_was_over_before_it_was_made() {
        let root = Quitter::root("root");
        let panicked = thread::spawn({
            let root = root.clone();
            move || {
                assert!(catch_unwind(|| panic!("long over")).is_err());
                let _guard = root.guard("guard").unwrap();
                std::panic::resume_unwind(Box::new("from another thread"));
            }
        });
        assert!(panicked.join().is_err());
        let failure = root.failures()[0].to_string();
        assert!(!failure.contains("long over"), "{failure}");
    }

    #[test]
    fn a_guard_that_is_dropped_in_peace_records_nothing() {
        let root = Quitter::root("root");
        drop(root.guard("guard").unwrap());
        assert!(root.failures().is_empty());
        assert!(!root.has_to_quit());
    }

    #[test]
    fn a_guard_made_and_dropped_during_an_unwinding_records_nothing() {
        struct Cleanup(Quitter);
        impl Drop for Cleanup {
            fn drop(&mut self) {
                let _guard = self.0.guard("cleanup").unwrap();
            }
        }
        let root = Quitter::root("root");
        let cleanup = Cleanup(root.clone());
        let panicked = catch_unwind(AssertUnwindSafe(move || {
            let _cleanup = cleanup;
            panic!("elsewhere");
        }));
        assert!(panicked.is_err());
        assert!(root.failures().is_empty(), "{:?}", root.failures());
    }
}

mod a_thread_that_the_system_refuses {
    use super::*;

    /// Half of all addresses, in whole pages: more than any system grants.
    const TOO_MUCH: usize = isize::MAX as usize & !0xffff;

    #[test]
    fn is_an_error_with_the_routines_name_and_what_the_system_said() {
        let root = Quitter::root("root");
        let refused = root
            .routine("huge")
            .stack_size(TOO_MUCH)
            .add(|_| {})
            .unwrap_err();
        let AddRoutineError::Thread { name, .. } = &refused else {
            panic!("{refused:?}");
        };
        assert_eq!(name, "huge");
        assert!(!refused.is_quitting());
        let source = std::error::Error::source(&refused).unwrap();
        assert!(source.is::<std::io::Error>());
    }

    #[test]
    fn leaves_the_tree_unchanged_and_drops_the_closure() {
        let root = Quitter::root("root");
        let told = Told(Event::new());
        let dropped = told.0.clone();
        let huge = root.routine("huge").stack_size(TOO_MUCH);
        assert!(huge.add(move |_| drop(told)).is_err());
        dropped.wait();
        root.wait_done(Duration::ZERO).unwrap();
        assert!(!root.has_to_quit());
        assert!(root.failures().is_empty());
        root.add_routine(|_| {}).unwrap();
    }

    #[test]
    fn is_a_failure_of_the_routine_that_returns_it() {
        let root = Quitter::root("root");
        root.add_routine(|q: &RoutineQuitter| {
            q.routine("huge").stack_size(TOO_MUCH).add(|_| {}).map(drop)
        })
        .unwrap();
        root.wait_done(PATIENCE).unwrap();
        assert!(root.failures()[0].to_string().contains("'huge'"));
    }

    #[test]
    fn is_an_error_even_for_the_largest_number() {
        let root = Quitter::root("root");
        let huge = root.routine("huge").stack_size(usize::MAX);
        assert!(matches!(
            huge.add(|_| {}),
            Err(AddRoutineError::Thread { .. })
        ));
        root.wait_done(Duration::ZERO).unwrap();
    }

    #[test]
    fn is_not_the_case_for_a_small_stack() {
        let root = Quitter::root("root");
        let small = root.routine("small").stack_size(1).add(|_| {}).unwrap();
        small.wait(PATIENCE).unwrap();
    }

    #[test]
    fn is_not_the_case_for_a_large_one_that_is_used() {
        fn eat(bytes: usize) -> u8 {
            let frame = std::hint::black_box([0_u8; 1 << 16]);
            match bytes.checked_sub(1 << 16) {
                Some(left) => eat(left) | frame[7],
                None => frame[7],
            }
        }
        let root = Quitter::root("root");
        let large = root.routine("large").stack_size(64 << 20);
        large.add(|_| assert_eq!(eat(8 << 20), 0)).unwrap();
        root.wait_done(PATIENCE).unwrap();
        assert!(root.failures().is_empty());
    }
}

mod names_of_routines {
    use super::*;

    fn heartbeat(q: &RoutineQuitter) {
        q.wait_quit();
    }

    fn generic<T>(_: &RoutineQuitter) {}

    /// The name that `f` gets when it is added.
    fn name_of<F>(f: F) -> String
    where
        F: FnOnce(&RoutineQuitter) + Send + 'static,
    {
        let root = Quitter::root("root");
        let handle = root.add_routine(f).unwrap();
        root.quit_and_wait(PATIENCE).unwrap();
        handle.name().to_owned()
    }

    #[test]
    fn a_function_gives_its_own_name() {
        assert_eq!(name_of(heartbeat), "heartbeat");
    }

    #[test]
    fn a_generic_function_gives_its_name_without_arguments() {
        assert_eq!(name_of(generic::<Vec<String>>), "generic");
        assert_eq!(
            name_of(generic::<fn(u8) -> std::collections::HashMap<u8, u8>>),
            "generic"
        );
        assert_eq!(name_of(generic::<[&'static str; 3]>), "generic");
    }

    #[test]
    fn a_closure_gives_the_function_that_it_stands_in() {
        assert_eq!(
            name_of(|_| {}),
            "closure in a_closure_gives_the_function_that_it_stands_in"
        );
    }

    #[test]
    fn a_closure_in_a_method_gives_the_method() {
        struct Server;
        impl Server {
            fn start(&self) -> String {
                name_of(|_| {})
            }
        }
        assert_eq!(Server.start(), "closure in start");
    }

    #[test]
    fn a_closure_in_a_method_of_a_type_that_holds_a_closure_gives_the_method() {
        struct Server<F>(F);
        impl<F: FnOnce() + Send + 'static> Server<F> {
            fn start(self) -> String {
                name_of(move |_| (self.0)())
            }
        }
        assert_eq!(Server(|| {}).start(), "closure in start");
    }

    #[test]
    fn the_thread_is_named_after_the_routine() {
        let root = Quitter::root("root");
        let (send, name) = mpsc::channel();
        root.routine("worker 7")
            .add(move |_| {
                send.send(thread::current().name().map(str::to_owned))
                    .unwrap()
            })
            .unwrap();
        assert_eq!(
            name.recv_timeout(PATIENCE).unwrap().as_deref(),
            Some("worker 7")
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_operating_system_knows_the_name() {
        let root = Quitter::root("root");
        let (send, name) = mpsc::channel();
        root.routine("worker 7")
            .add(move |_| {
                send.send(std::fs::read_to_string("/proc/thread-self/comm"))
                    .unwrap()
            })
            .unwrap();
        assert_eq!(name.recv_timeout(PATIENCE).unwrap().unwrap(), "worker 7\n");
    }

    /// Adds a routine as `name`, and asserts that it runs and is listed under that name.
    #[track_caller]
    fn is_kept(name: &str) {
        let root = Quitter::root("root");
        let end = Event::new();
        let (ends, wanted) = (end.clone(), name.to_owned());
        let handle = root
            .routine(name.to_owned())
            .add(move |q: &RoutineQuitter| {
                assert_eq!(q.name(), wanted);
                ends.wait();
            })
            .unwrap();
        assert_eq!(handle.name(), name);
        assert_eq!(names(&root.wait_done(Duration::ZERO).unwrap_err()), [name]);
        end.set();
        root.wait_done(PATIENCE).unwrap();
        assert!(root.failures().is_empty(), "{:?}", root.failures());
    }

    #[test]
    fn a_name_with_a_nul_is_kept() {
        is_kept("zero\0byte");
        is_kept("\0");
    }

    #[test]
    fn a_very_long_name_is_kept() {
        is_kept(&"long ".repeat(20_000));
    }

    #[test]
    fn an_empty_name_is_kept() {
        is_kept("");
    }

    #[test]
    fn a_name_beyond_ascii_is_kept() {
        is_kept("Überwachung 監視 🛑");
    }

    #[test]
    fn a_quitters_name_may_be_anything_too() {
        let root = Quitter::root("");
        let child = root.child("a/b\0").unwrap();
        assert_eq!((root.name(), child.name()), ("", "a/b\0"));
        assert_eq!(child.path(), "/a/b\0");
        assert_eq!(child.child("main").unwrap().path(), "/a/b\0/main");
    }
}

mod handles {
    use super::*;

    #[test]
    fn a_handle_tells_number_name_and_end() {
        let root = Quitter::root("root");
        let (handle, end) = deaf(&root, "deaf");
        assert_eq!(handle.name(), "deaf");
        assert!(!handle.is_finished());
        assert_eq!(
            ids(&root.wait_done(Duration::ZERO).unwrap_err()),
            [handle.id()]
        );
        end.set();
        handle.wait(PATIENCE).unwrap();
        assert!(handle.is_finished());
    }

    #[test]
    fn a_handles_wait_lists_its_routine_alone() {
        let root = Quitter::root("root");
        let child = root.child("child").unwrap();
        let (handle, end) = deaf(&child, "deaf");
        let _other = child.guard("other").unwrap();
        for timeout in [Duration::ZERO, SHORT] {
            let timeouts = handle.wait(timeout).unwrap_err();
            assert_eq!(paths(&timeouts), ["root/child"]);
            assert_eq!(ids(&timeouts), [handle.id()]);
            assert!(timeouts.after() >= timeout);
        }
        end.set();
        handle.wait(PATIENCE).unwrap();
        assert!(!child.has_to_quit());
    }

    #[test]
    fn a_handles_wait_does_not_wait_for_others() {
        let root = Quitter::root("root");
        let _others = [0, 1, 2].map(|_| root.guard("other").unwrap());
        let handle = root.add_routine(|_| {}).unwrap();
        handle.wait(PATIENCE).unwrap();
        handle.wait(Duration::ZERO).unwrap();
    }

    #[test]
    fn dropping_a_handle_detaches_its_routine() {
        let root = Quitter::root("root");
        let (handle, end) = deaf(&root, "deaf");
        let id = handle.id();
        drop(handle);
        assert_eq!(ids(&root.wait_done(SHORT).unwrap_err()), [id]);
        end.set();
        root.wait_done(PATIENCE).unwrap();
    }

    #[test]
    fn a_panicked_routine_is_finished() {
        let root = Quitter::root("root");
        let handle = root.add_routine(|_| panic!("over")).unwrap();
        handle.wait(PATIENCE).unwrap();
        assert!(handle.is_finished());
    }

    #[test]
    fn numbers_are_unique_over_all_trees() {
        let ids: Vec<_> = (0..100)
            .map(|_| Quitter::root("root").guard("guard").unwrap().id())
            .collect();
        let mut unique = ids.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique, ids);
    }

    #[test]
    fn a_guard_is_what_a_routine_sees_of_its_quitter() {
        let root = Quitter::root("root");
        let guard = root.guard("guard").unwrap();
        let as_routine: &RoutineQuitter = &guard;
        assert_eq!(
            (as_routine.name(), guard.path()),
            ("guard", "root".to_owned())
        );
        assert!(!guard.has_to_quit());
        let beside = guard.guard("beside").unwrap();
        assert_ne!(guard.id(), beside.id());
        assert_eq!(guard.child("child").unwrap().path(), "root/child");
        let (send, forked) = mpsc::channel();
        guard
            .add_routine(move |q: &RoutineQuitter| send.send(q.path()).unwrap())
            .unwrap();
        assert_eq!(forked.recv_timeout(PATIENCE).unwrap(), "root");
        root.send_quit();
        assert!(guard.has_to_quit());
        assert_eq!(guard.guard("late").unwrap_err(), Quitting);
        assert_eq!(guard.child("late").unwrap_err(), Quitting);
        assert!(guard.add_routine(|_| {}).unwrap_err().is_quitting());
    }

    #[test]
    fn a_guard_may_end_on_another_thread() {
        let root = Quitter::root("root");
        let guard = root.guard("guard").unwrap();
        thread::spawn(move || drop(guard)).join().unwrap();
        root.wait_done(Duration::ZERO).unwrap();
    }

    #[test]
    fn a_clone_of_a_quitter_is_the_same_quitter() {
        let root = Quitter::root("root");
        let clone = root.clone();
        let guard = clone.guard("guard").unwrap();
        assert_eq!(
            ids(&root.wait_done(Duration::ZERO).unwrap_err()),
            [guard.id()]
        );
        clone.send_quit();
        assert!(root.has_to_quit());
    }

    #[test]
    fn debug_texts_tell_who_it_is() {
        let root = Quitter::root("root");
        let child = root.child("child").unwrap();
        let guard = child.guard("worker").unwrap();
        let text = format!("{child:?} {guard:?}");
        assert!(
            text.contains("root/child") && text.contains("worker"),
            "{text}"
        );
        assert!(text.contains("has_to_quit: false"), "{text}");
    }
}
