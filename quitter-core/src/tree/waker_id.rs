//! Distinguishes wakers without keeping one, which would keep the executor's memory alive.
//!
//! Two wakers are the same if both their functions and their data are. As two pointers, an id would take up
//! a third of a waiting future. Such futures are parts of others, in which the compiler often stores two
//! copies, and a million tasks may wait. So an id takes twelve bytes: the function tables of wakers are
//! statics, and all statics of one program or library are within four gigabytes.

use std::ptr;
use std::task::Waker;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct WakerId {
    /// The distance of the function table from [`HERE`].
    functions: i32,
    /// The address of the data, as bytes, which need no alignment.
    data: [u8; size_of::<usize>()],
}

/// A reference point among the statics.
static HERE: u8 = 0;

/// Stands for any function table that is farther away.
const FAR: i32 = i32::MIN;

impl WakerId {
    pub(super) fn of(waker: &Waker) -> Self {
        Self {
            functions: from_here(ptr::from_ref(waker.vtable()).addr()),
            data: waker.data().addr().to_ne_bytes(),
        }
    }

    /// Whether this is certainly the id of `waker`. It never is if the functions are far away: then a
    /// future enters its list again at each poll, as if its waker had changed.
    pub(super) fn is_of(self, waker: &Waker) -> bool {
        self.is_same(Self::of(waker))
    }

    fn is_same(self, other: Self) -> bool {
        self.functions != FAR && self == other
    }
}

fn from_here(address: usize) -> i32 {
    let distance = address.wrapping_sub(ptr::from_ref(&HERE).addr());
    i32::try_from(distance.cast_signed()).unwrap_or(FAR)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn an_id_is_that_of_a_waker_and_its_clones_and_of_no_other() {
        let wakers = [
            Arc::new(Woken::default()).into(),
            Arc::new(Woken::default()).into(),
            Waker::noop().clone(),
        ];
        for (at, waker) in wakers.iter().enumerate() {
            let id = WakerId::of(&waker.clone());
            let alike = wakers
                .iter()
                .enumerate()
                .filter(|(_, other)| id.is_of(other));
            assert_eq!(alike.map(|(other, _)| other).collect::<Vec<_>>(), [at]);
        }
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn functions_that_are_far_away_are_those_of_no_waker() {
        const FOUR_GIGABYTES: usize = 1 << 32;
        let here = ptr::from_ref(&HERE).addr();
        assert_eq!(from_here(here + 80), 80);
        assert_eq!(from_here(here - 80), -80);
        for away in [
            here.wrapping_add(FOUR_GIGABYTES),
            here.wrapping_sub(FOUR_GIGABYTES),
        ] {
            assert_eq!(from_here(away), FAR);
        }
        let id = WakerId {
            functions: FAR,
            ..WakerId::of(Waker::noop())
        };
        assert!(!id.is_same(id));
    }
}
