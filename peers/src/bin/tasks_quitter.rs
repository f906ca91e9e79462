//! quitter's attribute on an async `main`, of both flavors.

use quitter::ExitReport;

mod several_threads {
    use quitter::{AddRoutineError, MainQuitter};

    #[quitter::main(timeout = "1s")]
    pub async fn main(main: &MainQuitter) -> Result<(), AddRoutineError> {
        super::start(main)
    }
}

mod single_thread {
    use quitter::{AddRoutineError, MainQuitter};

    #[quitter::main(timeout = "1s", flavor = "current_thread")]
    pub async fn main(main: &MainQuitter) -> Result<(), AddRoutineError> {
        super::start(main)
    }
}

fn start(main: &quitter::MainQuitter) -> Result<(), quitter::AddRoutineError> {
    let case = peers::case();
    let worker = main.routine("worker");
    worker.add_task(|q| async move { peers::tasks::work(&case, q.quitting()).await })?;
    Ok(())
}

fn main() -> ExitReport {
    let case = peers::case();
    let _local = peers::set_up(&case);
    match peers::tasks::is_current(&case) {
        true => single_thread::main(),
        false => several_threads::main(),
    }
}
