//! The type `!`, which stable Rust only lets a program name as the output of a function. In edition
//! 2024 it is the type of a closure that never returns.

/// On docs.rs, which builds with a nightly compiler, `!` is shown as itself.
#[cfg(docsrs)]
pub(crate) type Bang = !;

#[cfg(not(docsrs))]
pub(crate) type Bang = <fn() -> ! as Function>::Output;

/// Names the output of a function pointer.
#[cfg(not(docsrs))]
pub trait Function {
    type Output;
}

#[cfg(not(docsrs))]
impl<R> Function for fn() -> R {
    type Output = R;
}
