//! Every shape of function that is a routine.

#![forbid(unsafe_code)]
#![deny(warnings)]

use std::fmt;

use quitter::{Quitter, Quitting, RoutineQuitter};

mod deeper {
    pub(crate) mod down {
        #[quitter::routine]
        pub(in crate::deeper) fn within(q: &crate::RoutineQuitter) {
            q.wait_quit();
        }

        pub(crate) fn name() -> &'static str {
            let _: fn(&crate::RoutineQuitter) = within;
            "within"
        }
    }
}

#[quitter::routine]
fn returns_nothing(_: &RoutineQuitter) {}

#[quitter::routine(manual)]
fn returns_never(q: &RoutineQuitter) -> ! {
    q.wait_quit();
    panic!("told to quit")
}

#[quitter::routine(manual)]
fn returns_a_result(q: &RoutineQuitter) -> Result<(), Quitting> {
    q.sleep(std::time::Duration::ZERO)
}

#[quitter::routine(name = "boxed", manual)]
fn returns_a_boxed_error(
    _: &'_ RoutineQuitter,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    Err("nothing to do")?
}

#[quitter::routine(manual, name = "formatted")]
fn returns_an_error_of_std(_: &quitter::RoutineQuitter) -> fmt::Result {
    Ok(())
}

// Names that the generated code also uses.
#[quitter::routine]
fn quitter(_: &RoutineQuitter) {}

#[quitter::routine]
fn identity(_: &RoutineQuitter) {}

#[quitter::routine]
fn r#loop(_: &RoutineQuitter) {}

#[quitter::routine]
#[deprecated = "beats too fast"]
fn deprecated(_: &RoutineQuitter) {}

#[quitter::routine]
#[cfg(any())]
fn left_out(_: &NoSuchType) {}

#[quitter::routine]
#[cfg_attr(all(), cfg(any()), inline)]
fn left_out_by_cfg_attr(_: &NoSuchType) {}

#[quitter::routine]
#[cfg_attr(all(), inline)]
fn kept_by_cfg_attr(_: &RoutineQuitter) {}

macro_rules! routine {
    ($name:ident, $shown:literal, $quitter:ty) => {
        #[quitter::routine(name = $shown)]
        fn $name(_: $quitter) {}
    };
}
routine!(by_macro, "by macro", &RoutineQuitter);

fn nested() -> impl FnOnce(&RoutineQuitter) {
    #[quitter::routine]
    fn in_a_body(_: &RoutineQuitter) {}

    in_a_body
}

fn main() {
    let root = Quitter::root("root");
    let names = [
        root.add_routine(r#loop).unwrap().name().to_owned(),
        root.add_routine(by_macro).unwrap().name().to_owned(),
        root.add_routine(nested()).unwrap().name().to_owned(),
        deeper::down::name().to_owned(),
    ];
    assert_eq!(names, ["loop", "by macro", "in_a_body", "within"]);
}
