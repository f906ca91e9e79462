//! Tasks are asked on every executor, whatever happens to them meanwhile.

use super::*;
use crate::routine::record::Record;

#[path = "../../../../tests/tasks/executors.rs"]
mod executors;

async fn awaits_a_message(messages: oneshot::Receiver<()>) {
    drop(messages.await);
}

#[test]
fn on_every_executor_a_task_shows_what_it_awaits() {
    executors::on_each(|executor| {
        let root = Quitter::root("root");
        let (sender, messages) = oneshot::channel();
        let task = root
            .routine("task")
            .task(|_| awaits_a_message(messages))
            .unwrap();
        executor.spawn(Box::pin(task));
        let found = until_it_awaits(&root, "task", &["tokio::sync::oneshot::Receiver"]);
        let calls: Vec<_> = found.stacks[0]
            .frames
            .iter()
            .map(|frame| &frame.function[..])
            .collect();
        assert_eq!(
            calls[1..],
            ["quitter_core::stacks::tasks::tests::everywhere::awaits_a_message"]
        );
        drop(sender);
        root.wait_done(LONG).unwrap();
    });
}

/// Tasks are polled, end, panic and are aborted while they are asked, and one stays.
#[test]
fn tasks_that_come_and_go_survive_being_asked() {
    let root = Quitter::root("root");
    root.on_failure(crate::OnFailure::FailAtExit);
    let runtime = several_threads();
    let done = Arc::new(AtomicBool::new(false));
    let asked = Instant::now() + Duration::from_secs(1);
    let (starter, is_done, handle) = (root.clone(), Arc::clone(&done), runtime.handle().clone());
    root.routine("starts")
        .add(move |_| {
            let mut n = 0;
            while !is_done.load(Ordering::Relaxed) {
                n += 1;
                let task = starter.routine("short").on(&handle);
                let task = task.add_task(move |_| async move {
                    match n % 4 {
                        0 => std::panic::resume_unwind(Box::new("short")),
                        1 => tokio::task::yield_now().await,
                        2 => tokio::time::sleep(Duration::from_millis(5)).await,
                        _ => pending().await,
                    }
                });
                if n % 4 == 3
                    && let Ok(task) = task
                {
                    thread::sleep(Duration::from_micros(300));
                    task.abort();
                }
            }
        })
        .unwrap();
    let notify = Arc::new(Notify::new());
    let theirs = Arc::clone(&notify);
    let stays = root.routine("stays").on(runtime.handle());
    stays
        .add_task(|_| async move { waits_for(&theirs).await })
        .unwrap();
    let id = |records: &[Arc<Record>]| {
        let mut named = records.iter().filter(|record| record.name == "stays");
        named.next().map(|record| record.id)
    };
    let mut answers = 0;
    while Instant::now() < asked || answers == 0 {
        let records = records(&root);
        let mut stacks = of(&records, Instant::now() + LONG);
        let stays = id(&records).and_then(|id| stacks.by_routine.remove(&id));
        // Before its first poll, and while its wake-up is on the way, it awaits nothing that is known.
        let awaits = |found: &Found| found.task == Some(TaskState::Awaiting);
        if let Some(found) = stays.filter(awaits) {
            assert_eq!(innermost(&found.stacks[0]), "tokio::sync::Notify::notified");
            answers += 1;
        }
    }
    notify.notify_one();
    done.store(true, Ordering::Relaxed);
    root.wait_done(LONG).unwrap();
    assert!(
        root.snapshot()
            .routines()
            .all(|routine| routine.state != RoutineState::Failed)
    );
}
