//! Bodies of `main`, one per module. The first argument selects which one runs.

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use quitter::{ExitReport, MainQuitter, QuitSource, Quitting};

mod returns_nothing {
    use super::*;

    #[quitter::main(timeout = "2s", sources = [QuitSource::all_done()])]
    pub(super) fn main() {
        eprintln!("body");
    }
}

mod returns_an_error {
    use super::*;

    #[quitter::main(timeout = "2s")]
    pub(super) fn main() -> Result<(), Box<dyn Error>> {
        Err("no configuration".into())
    }
}

mod returns_a_code {
    use super::*;

    #[quitter::main(timeout = "2s")]
    pub(super) fn main() -> ExitCode {
        ExitCode::from(3)
    }
}

mod returns_an_ok_code {
    use super::*;

    #[quitter::main(timeout = "2s")]
    pub(super) fn main() -> Result<ExitCode, Box<dyn Error>> {
        Ok(ExitCode::from(4))
    }
}

mod returns_success {
    use super::*;

    #[quitter::main(timeout = "2s", sources = [QuitSource::all_done()])]
    pub(super) fn main() -> Result<ExitCode, Box<dyn Error>> {
        Ok(ExitCode::SUCCESS)
    }
}

mod panics {
    #[quitter::main(timeout = "2s")]
    pub(super) fn main() {
        panic!("no display");
    }
}

mod returns_an_unnamed_error_async {
    #[quitter::main(timeout = "2s")]
    pub(super) async fn main() -> Result<(), impl std::fmt::Debug> {
        Err("no configuration")
    }
}

mod never_returns {
    use super::*;

    #[quitter::main(timeout = "300ms")]
    pub(super) fn main() -> ! {
        eprintln!("body");
        loop {
            thread::park();
        }
    }
}

mod returns_a_code_with_a_stuck_routine {
    use super::*;

    #[quitter::main(timeout = "300ms")]
    pub(super) fn main(main: &MainQuitter) -> Result<ExitCode, Box<dyn Error>> {
        let deaf = main.routine("deaf");
        deaf.add(|_| thread::sleep(Duration::from_secs(3600)))?;
        Ok(ExitCode::from(5))
    }
}

mod returns_success_with_a_stuck_routine {
    use super::*;

    #[quitter::main(timeout = "300ms")]
    pub(super) fn main(main: &MainQuitter) -> Result<ExitCode, Box<dyn Error>> {
        let deaf = main.routine("deaf");
        deaf.add(|_| thread::sleep(Duration::from_secs(3600)))?;
        main.send_quit();
        Ok(ExitCode::SUCCESS)
    }
}

mod returns_quitting {
    use super::*;

    #[quitter::main(timeout = "2s")]
    pub(super) fn main(main: &MainQuitter) -> Result<(), Quitting> {
        eprintln!("body");
        main.sleep(Duration::MAX)
    }
}

mod returns_quitting_in_a_box {
    use super::*;

    #[quitter::main(timeout = "2s")]
    pub(super) fn main(main: &MainQuitter) -> Result<(), Box<dyn Error>> {
        eprintln!("body");
        main.sleep(Duration::MAX)?;
        Ok(())
    }
}

mod returns_quitting_in_a_report {
    use super::*;

    #[quitter::main(timeout = "2s")]
    pub(super) fn main(main: &MainQuitter) -> eyre::Result<()> {
        eprintln!("body");
        main.sleep(Duration::MAX)?;
        Ok(())
    }
}

mod returns_quitting_below_a_report {
    use super::*;
    use eyre::WrapErr;

    #[quitter::main(timeout = "2s")]
    pub(super) fn main(main: &MainQuitter) -> eyre::Result<()> {
        eprintln!("body");
        main.sleep(Duration::MAX)
            .wrap_err("no time to save")
            .wrap_err("not saved")
    }
}

mod returns_a_report {
    use eyre::WrapErr;

    #[quitter::main(timeout = "2s")]
    pub(super) fn main() -> eyre::Result<()> {
        Err(eyre::eyre!("disk full")).wrap_err("cannot save")
    }
}

mod is_told {
    use super::*;

    #[quitter::main(timeout = "2s")]
    pub(super) fn main(main: &MainQuitter) -> Result<(), Box<dyn Error>> {
        let (told, tell) = crossbeam_channel::bounded(1);
        let listener = move |q: &quitter::RoutineQuitter| {
            eprintln!("routine");
            q.wait_quit();
            let _ = told.send(());
        };
        main.routine("listener").add(listener)?;
        // The body works until the routine has seen the quit.
        tell.recv()?;
        eprintln!("the routine was told while the body worked");
        Ok(())
    }
}

mod is_deaf {
    use super::*;

    #[quitter::main(timeout = "300ms")]
    pub(super) fn main(main: &MainQuitter) {
        eprintln!("body of {}", main.name());
        thread::sleep(Duration::from_secs(3600));
    }
}

mod starts_nothing {
    #[quitter::main(timeout = "2s")]
    pub(super) fn main() {}
}

mod fails_while_a_routine_works {
    use super::*;

    #[quitter::main(timeout = "2s")]
    pub(super) fn main(main: &MainQuitter) -> Result<(), Box<dyn Error>> {
        main.routine("listener").add(|q| {
            q.wait_quit();
            eprintln!("the routine was told");
        })?;
        Err("no configuration".into())
    }
}

fn main() -> ExitReport {
    let program = match env::args().nth(1).as_deref() {
        Some("returns_nothing") => returns_nothing::main,
        Some("returns_an_error") => returns_an_error::main,
        Some("returns_an_unnamed_error_async") => returns_an_unnamed_error_async::main,
        Some("returns_a_code") => returns_a_code::main,
        Some("returns_an_ok_code") => returns_an_ok_code::main,
        Some("returns_success") => returns_success::main,
        Some("panics") => panics::main,
        Some("never_returns") => never_returns::main,
        Some("returns_a_code_with_a_stuck_routine") => returns_a_code_with_a_stuck_routine::main,
        Some("returns_success_with_a_stuck_routine") => returns_success_with_a_stuck_routine::main,
        Some("returns_quitting") => returns_quitting::main,
        Some("returns_quitting_in_a_box") => returns_quitting_in_a_box::main,
        Some("returns_quitting_in_a_report") => returns_quitting_in_a_report::main,
        Some("returns_quitting_below_a_report") => returns_quitting_below_a_report::main,
        Some("returns_a_report") => returns_a_report::main,
        Some("is_told") => is_told::main,
        Some("is_deaf") => is_deaf::main,
        Some("starts_nothing") => starts_nothing::main,
        Some("fails_while_a_routine_works") => fails_while_a_routine_works::main,
        other => panic!("no body {other:?}"),
    };
    program()
}
