//! Without the feature: there is never a picture.

use std::convert::Infallible;
use std::time::Instant;

use crate::tree::LiveAt;

pub(crate) struct Picture(Infallible);

impl Picture {
    pub(crate) fn start(_: Instant) -> Option<Self> {
        None
    }

    pub(crate) fn next(&self) -> Instant {
        match self.0 {}
    }

    pub(crate) fn draw(&mut self, _: Option<Vec<LiveAt>>, _: Option<Instant>) {
        match self.0 {}
    }
}

pub(crate) struct Shown;

impl Shown {
    pub(crate) const fn new() -> Self {
        Self
    }

    pub(crate) fn erase(&self) -> &'static str {
        ""
    }

    pub(crate) fn end(&self) -> &'static str {
        ""
    }
}
