//! The functions that `#[quitter::routine]` registered, from every crate of the program.
//!
//! Each registration is a constructor that runs before `main`. Linkers keep constructors; should one drop
//! them nevertheless, the probe is lost, too, and the program does not start.

use std::any::TypeId;
use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::sync::{Arc, OnceLock};

use super::builder::RoutineBuilder;
use super::handle::RoutineHandle;
use super::record::Place;
use crate::error::AddRoutineError;
use crate::report::escape::Name;
use crate::report::failure::OnFailure;
use crate::tree::Node;

inventory::collect!(RegisteredRoutine);

/// Registered like a routine, to distinguish "no routine is registered" from "registrations are lost".
struct Probe;

inventory::collect!(Probe);
inventory::submit! { Probe }

/// A function annotated with `#[quitter::routine]`.
pub struct RegisteredRoutine {
    name: &'static str,
    automatic: bool,
    place: Place,
    /// `None`: the quitter's policy.
    on_failure: Option<OnFailure>,
    type_id: fn() -> TypeId,
    add: fn(RoutineBuilder<'_>) -> Result<RoutineHandle, AddRoutineError>,
}

impl RegisteredRoutine {
    /// An `automatic` routine is started by the main quitter. `add` adds the function as a routine.
    #[track_caller]
    #[must_use]
    pub const fn new(
        name: &'static str,
        automatic: bool,
        type_id: fn() -> TypeId,
        add: fn(RoutineBuilder<'_>) -> Result<RoutineHandle, AddRoutineError>,
    ) -> Self {
        Self {
            name,
            automatic,
            place: Location::caller(),
            on_failure: None,
            type_id,
            add,
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// Sets how the program responds to the routine's failure.
    #[must_use]
    pub const fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = Some(on_failure);
        self
    }

    /// Returns the builder for the routine, with the attribute's settings.
    pub(crate) fn describe<'a>(&self, node: &'a Arc<Node>) -> RoutineBuilder<'a> {
        let routine = RoutineBuilder::new(node, self.name.into());
        match self.on_failure {
            Some(on_failure) => routine.on_failure(on_failure),
            None => routine,
        }
    }

    pub(crate) fn start(&self, node: &Arc<Node>) -> Result<RoutineHandle, AddRoutineError> {
        (self.add)(self.describe(node))
    }
}

impl fmt::Debug for RegisteredRoutine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegisteredRoutine")
            .field("name", &self.name)
            .field("automatic", &self.automatic)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// Returns the type of a function, by which its registration is found.
#[must_use]
pub fn type_id_of<F: 'static>(_: &F) -> TypeId {
    TypeId::of::<F>()
}

fn registered() -> impl Iterator<Item = &'static RegisteredRoutine> {
    inventory::iter::<RegisteredRoutine>.into_iter()
}

/// Finds a function's registration by its type, because names may repeat.
pub(crate) fn find(type_id: TypeId) -> Option<&'static RegisteredRoutine> {
    static BY_TYPE: OnceLock<HashMap<TypeId, &'static RegisteredRoutine>> = OnceLock::new();
    let by_type = BY_TYPE.get_or_init(|| {
        registered()
            .map(|routine| ((routine.type_id)(), routine))
            .collect()
    });
    by_type.get(&type_id).copied()
}

/// Why the registered routines cannot be started.
#[derive(Debug)]
pub(crate) enum RegistryError {
    /// The main quitter would start two functions under one name; a report could not tell them
    /// apart.
    Duplicate {
        first: &'static RegisteredRoutine,
        second: &'static RegisteredRoutine,
    },
    /// The linker dropped the registrations, or their constructors did not run.
    Lost,
}

impl RegistryError {
    /// The routine to name in a report, if the error is about one.
    pub(crate) fn routine(&self) -> Option<&'static RegisteredRoutine> {
        match self {
            Self::Duplicate { first, .. } => Some(first),
            Self::Lost => None,
        }
    }
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicate { first, second } => write!(
                f,
                "two routines are registered under the name '{}', at {} and at {}; \
                 give one of them another name with #[quitter::routine(name = \"…\")]",
                Name(first.name),
                first.place,
                second.place
            ),
            Self::Lost => f.write_str(
                "the linker has dropped what #[quitter::routine] registers; link this program \
                 with its constructors (the section .init_array, .CRT or __mod_init_func), or \
                 make its MainQuitter without #[quitter::main] and call add_routine",
            ),
        }
    }
}

impl Error for RegistryError {}

/// The routines that the main quitter starts, sorted by name.
pub(crate) fn automatic() -> Result<Vec<&'static RegisteredRoutine>, RegistryError> {
    check(inventory::iter::<Probe>.into_iter())?;
    let key = |routine: &RegisteredRoutine| {
        let place = routine.place;
        (routine.name, place.file(), place.line())
    };
    let mut routines: Vec<&RegisteredRoutine> = Vec::new();
    // An insertion sort: the routines are few, and std's sort would add 13 KB to every program.
    for routine in registered().filter(|routine| routine.automatic) {
        let at = routines.partition_point(|other| key(other) <= key(routine));
        routines.insert(at, routine);
    }
    let twins = routines
        .windows(2)
        .find(|pair| pair[0].name == pair[1].name);
    match twins {
        Some(pair) => Err(RegistryError::Duplicate {
            first: pair[0],
            second: pair[1],
        }),
        None => Ok(routines),
    }
}

fn check(mut probes: impl Iterator<Item = &'static Probe>) -> Result<(), RegistryError> {
    match probes.next() {
        Some(_) => Ok(()),
        None => Err(RegistryError::Lost),
    }
}

/// Whether the main quitter has routines to start.
pub(crate) fn has_automatic() -> bool {
    registered().any(|routine| routine.automatic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_registrations_are_an_error_that_says_what_to_do() {
        let error = check(std::iter::empty()).unwrap_err().to_string();
        assert!(error.contains("the linker has dropped"), "{error}");
        assert!(error.contains("call add_routine"), "{error}");
    }

    #[test]
    fn this_program_has_the_probe() {
        assert!(automatic().is_ok());
    }
}
