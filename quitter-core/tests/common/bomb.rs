// Included at the root of a test crate. No quitter drops the payload of its panic, and a leak checker knows by
// the crate's name that this is intended.

/// Panics when it is dropped.
pub(crate) struct Bomb(pub(crate) &'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("{}", self.0);
    }
}
