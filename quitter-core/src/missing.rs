//! Stand-ins for the methods of features that are off. A call to one does not compile, and the compiler's
//! error names the feature.
//!
//! Each method has a bound that nothing fulfils. The lifetime in the bound lets the compiler accept the
//! method itself. Arguments and results have just enough types to avoid a second error.

#![cfg_attr(
    all(
        unix,
        feature = "color",
        feature = "io",
        feature = "process",
        feature = "stacks",
        feature = "tokio"
    ),
    allow(unused_macros, reason = "nothing is missing")
)]

macro_rules! missing {
    ($needs:ident: $($($of:ty),+ { $($methods:tt)+ })+) => {
        $(missing!(@each $needs [$($of),+] { $($methods)+ });)+
    };
    (@each $needs:ident [$($of:ty),+] $methods:tt) => {
        $(missing!(@one $needs $of, $methods);)+
    };
    (@one $needs:ident $of:ty, {
        $(fn $name:ident $(<$($generic:ident),+>)? ($($argument:ty),*) -> $result:ty;)+
    }) => {
        impl $of {$(
            #[doc(hidden)]
            pub fn $name<'a, $($($generic),+)?>(&'a self, $(_: $argument),*) -> $result
            where
                Self: $needs<'a>,
            {
                unreachable!("nothing fulfils the bound")
            }
        )+}
    };
}

#[cfg(not(all(unix, feature = "io")))]
mod io {
    use std::io::Result;
    use std::iter::Empty;
    use std::net::TcpStream;

    use crate::{Quitter, RoutineQuitter};

    #[cfg_attr(
        unix,
        diagnostic::on_unimplemented(
            message = "this method needs the feature `io`: run `cargo add quitter --features io`",
            label = "needs the feature `io`"
        )
    )]
    #[cfg_attr(
        not(unix),
        diagnostic::on_unimplemented(
            message = "this method of the feature `io` exists on Unix only",
            label = "exists on Unix only"
        )
    )]
    pub trait NeedsIo<'a> {}

    missing! { NeedsIo:
        Quitter, RoutineQuitter {
            fn incoming(&impl Sized) -> Empty<Result<TcpStream>>;
            fn interruptible<S>(S) -> S;
            fn wait_readable(&impl Sized) -> Result<()>;
            fn wait_readable_timeout(&impl Sized, impl Sized) -> Result<()>;
            fn wait_writable(&impl Sized) -> Result<()>;
            fn wait_writable_timeout(&impl Sized, impl Sized) -> Result<()>;
        }
    }
}

#[cfg(not(feature = "process"))]
mod process {
    use crate::{AddRoutineError, Quitter, RoutineBuilder, RoutineHandle, RoutineQuitter};

    #[diagnostic::on_unimplemented(
        message = "this method needs the feature `process`: run `cargo add quitter --features process`",
        label = "needs the feature `process`"
    )]
    pub trait NeedsProcess<'a> {}

    missing! { NeedsProcess:
        Quitter, RoutineQuitter {
            fn add_process(impl Sized) -> Result<RoutineHandle, AddRoutineError>;
        }
        RoutineBuilder<'_> {
            fn process(impl Sized) -> Result<RoutineHandle, AddRoutineError>;
            fn adopt(impl Sized) -> Result<RoutineHandle, AddRoutineError>;
            fn stop_signal(impl Sized) -> &'a Self;
            fn kill_before_deadline(impl Sized) -> &'a Self;
            fn failure_on(impl Sized) -> &'a Self;
            fn own_group(impl Sized) -> &'a Self;
            fn output(impl Sized) -> &'a Self;
        }
    }
}

#[cfg(not(feature = "stacks"))]
mod stacks {
    use crate::{Quitter, RoutineQuitter, Snapshot};

    #[diagnostic::on_unimplemented(
        message = "this method needs the feature `stacks`: run `cargo add quitter --features stacks`",
        label = "needs the feature `stacks`"
    )]
    pub trait NeedsStacks<'a> {}

    missing! { NeedsStacks:
        Quitter, RoutineQuitter { fn snapshot_with_stacks() -> Snapshot; }
    }
}

#[cfg(not(feature = "color"))]
mod color {
    use crate::Snapshot;

    #[diagnostic::on_unimplemented(
        message = "this method needs the feature `color`: run `cargo add quitter --features color`",
        label = "needs the feature `color`"
    )]
    pub trait NeedsColor<'a> {}

    missing! { NeedsColor:
        Snapshot {
            fn ansi() -> String;
            fn for_stderr() -> String;
        }
    }
}

#[cfg(not(feature = "tokio"))]
mod tokio {
    use std::future::Ready;

    use crate::{
        AddRoutineError, Quitter, RoutineBuilder, RoutineHandle, RoutineQuitter, Timeouts,
    };

    #[diagnostic::on_unimplemented(
        message = "this method needs the feature `tokio`: run `cargo add quitter --features tokio`",
        label = "needs the feature `tokio`"
    )]
    pub trait NeedsTokio<'a> {}

    missing! { NeedsTokio:
        Quitter, RoutineQuitter, RoutineBuilder<'_> {
            fn add_task<Fut>(impl FnOnce(RoutineQuitter) -> Fut) -> Result<RoutineHandle, AddRoutineError>;
        }
        Quitter {
            fn wait_done_async(impl Sized) -> Ready<Result<(), Timeouts>>;
            fn quit_and_wait_async(impl Sized) -> Ready<Result<(), Timeouts>>;
        }
        RoutineBuilder<'_> {
            fn on(impl Sized) -> &'a Self;
        }
        RoutineHandle {
            fn abort() -> bool;
            fn wait_async(impl Sized) -> Ready<Result<(), Timeouts>>;
        }
    }
}
