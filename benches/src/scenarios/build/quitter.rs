use quitter::{ExitReport, MainQuitter};

fn main() -> ExitReport {
    MainQuitter::builder().run(|main| main.routine("worker").add(|q| q.wait_quit()).map(drop))
}
