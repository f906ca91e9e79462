// Included at the root of a test crate, by whose name a leak checker tells that its payload, which no quitter
// drops, is meant to stay.

/// Panics when it is dropped.
pub(crate) struct Bomb(pub(crate) &'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("{}", self.0);
    }
}
