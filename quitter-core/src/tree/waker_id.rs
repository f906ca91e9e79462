//! Tells wakers apart without keeping one, which would be the executor's memory.
//!
//! Two wakers are alike if both their functions and their data are. As two pointers, an id would be a third
//! of a future that waits. Such futures are parts of others, of which the compiler often keeps two copies,
//! and a million tasks may wait. So an id takes twelve bytes: the functions of wakers are statics, and all
//! those of one program or library are within four gigabytes.

use std::ptr;
use std::task::Waker;

/// Tells a waker from others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct WakerId {
    /// How far the functions are from [`HERE`].
    functions: i32,
    /// An address, in bytes: it needs no padding.
    data: [u8; size_of::<usize>()],
}

/// A place among the statics.
static HERE: u8 = 0;

/// Stands for functions that are farther away. Many places do.
const FAR: i32 = i32::MIN;

impl WakerId {
    pub(super) fn of(waker: &Waker) -> Self {
        Self {
            functions: from_here(ptr::from_ref(waker.vtable()).addr()),
            data: waker.data().addr().to_ne_bytes(),
        }
    }

    /// Whether this is certainly the id of a waker. Where its functions are far away it never is: then a
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
