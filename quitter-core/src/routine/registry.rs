//! The functions annotated with `#[quitter::routine]`, from all crates of the program.

use std::any::TypeId;
use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::sync::OnceLock;

use linkme::distributed_slice;

use super::builder::RoutineBuilder;
use super::handle::RoutineHandle;
use super::record::Place;
use crate::error::AddRoutineError;
use crate::report::escape::Name;

/// The annotated functions, in no particular order.
#[distributed_slice]
pub static ROUTINES: [RegisteredRoutine];

/// A function annotated with `#[quitter::routine]`.
pub struct RegisteredRoutine {
    name: &'static str,
    automatic: bool,
    place: Place,
    type_id: fn() -> TypeId,
    add: fn(RoutineBuilder<'_>) -> Result<RoutineHandle, AddRoutineError>,
}

impl RegisteredRoutine {
    /// `automatic`: started by the main quitter. `add` adds the function as a routine.
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

    pub(crate) fn add(
        &self,
        routine: RoutineBuilder<'_>,
    ) -> Result<RoutineHandle, AddRoutineError> {
        (self.add)(routine)
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

/// The type of a function, by which its registration is found.
#[must_use]
pub fn type_id_of<F: 'static>(_: &F) -> TypeId {
    TypeId::of::<F>()
}

/// The registration of a function. Found by its type, since names may repeat.
pub(crate) fn find(type_id: TypeId) -> Option<&'static RegisteredRoutine> {
    static BY_TYPE: OnceLock<HashMap<TypeId, &'static RegisteredRoutine>> = OnceLock::new();
    let by_type = BY_TYPE.get_or_init(|| {
        let routines = ROUTINES.iter();
        routines
            .map(|routine| ((routine.type_id)(), routine))
            .collect()
    });
    by_type.get(&type_id).copied()
}

/// Two functions that the main quitter would start under one name. A report could not tell them
/// apart.
#[derive(Debug)]
pub(crate) struct Duplicate {
    pub(crate) first: &'static RegisteredRoutine,
    second: &'static RegisteredRoutine,
}

impl fmt::Display for Duplicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "two routines are registered under the name '{}', at {} and at {}; \
             give one of them another name with #[quitter::routine(name = \"…\")]",
            Name(self.first.name),
            self.first.place,
            self.second.place
        )
    }
}

impl Error for Duplicate {}

/// The routines that the main quitter starts, sorted by name.
pub(crate) fn automatic() -> Result<Vec<&'static RegisteredRoutine>, Duplicate> {
    let mut routines: Vec<_> = ROUTINES
        .iter()
        .filter(|routine| routine.automatic)
        .collect();
    routines.sort_by_key(|routine| (routine.name, routine.place.file(), routine.place.line()));
    let twins = routines
        .windows(2)
        .find(|pair| pair[0].name == pair[1].name);
    match twins {
        Some(pair) => Err(Duplicate {
            first: pair[0],
            second: pair[1],
        }),
        None => Ok(routines),
    }
}

/// Whether the main quitter has routines to start.
pub(crate) fn has_automatic() -> bool {
    ROUTINES.iter().any(|routine| routine.automatic)
}
