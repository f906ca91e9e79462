//! Both attributes on functions that a `macro_rules!` macro writes, whose fragments are in invisible groups.

use quitter::{MainQuitter, QuitSource, Quitting, RoutineQuitter};

macro_rules! routine {
    ($vis:vis fn $name:ident($q:ident: &$quitter:ty) $body:block) => {
        #[quitter::routine]
        $vis fn $name($q: &$quitter) $body
    };
}
routine!(pub fn waits(q: &RoutineQuitter) {
    q.wait_quit();
});

macro_rules! program {
    ($sources:expr, $main:ident: &$quitter:ty => $outcome:ty, $body:block) => {
        #[quitter::main(timeout = "10s", sources = $sources)]
        fn main($main: &$quitter) -> $outcome $body
    };
}
program!([QuitSource::all_done()], main: &MainQuitter => anyhow::Result<()>, {
    let routine = main.add_routine(waits)?;
    assert_eq!(routine.name(), "waits");
    main.send_quit();
    // Not a failure: `Quitting` is found inside the error type that the macro was given.
    Err(Quitting.into())
});
