//! A crate with a routine, for the programs that mention it.

/// Starts in programs that mention this crate, and in no other.
#[quitter::routine]
pub fn routine_of_another_crate(q: &quitter::RoutineQuitter) {
    assert_eq!(q.name(), "routine_of_another_crate");
    eprintln!("'routine_of_another_crate' runs");
}
