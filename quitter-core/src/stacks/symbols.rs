//! The names, files and lines of addresses. Looking them up takes the locks of the allocator and of the
//! loader.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering};

use super::limit::Limit;
use super::modules::Address;
use super::trim::Call;

/// Looks up each address once.
pub(super) struct Symbols {
    known: HashMap<u64, Vec<Call>>,
}

impl Symbols {
    /// File contents are kept for the next call, because reading them takes most of the time. They are
    /// dropped when `modules` has changed, since there are new files then.
    pub(super) fn new(modules: u64) -> Self {
        static MODULES: AtomicU64 = AtomicU64::new(0);
        if MODULES.swap(modules, Ordering::Relaxed) != modules {
            backtrace::clear_symbol_cache();
        }
        Self {
            known: HashMap::new(),
        }
    }

    /// The call at an address, after the calls that were inlined there. The calls have no names if there are
    /// none, or no time is left.
    pub(super) fn of(&mut self, address: &Address, limit: Limit) -> Vec<Call> {
        if let Some(known) = self.known.get(&address.address) {
            return known.clone();
        }
        let is_known = address
            .module
            .as_ref()
            .is_some_and(|module| !module.is_deleted);
        if !is_known || limit.is_over() {
            return vec![unnamed(address)];
        }
        let mut calls = Vec::new();
        // `resolve` looks up the byte before the one that it is given.
        let lookup = usize::try_from(address.address + 1).unwrap_or(usize::MAX);
        backtrace::resolve(lookup as *mut c_void, |symbol| {
            let file = symbol.filename();
            calls.push(Call {
                function: symbol.name().map(|name| format!("{name:#}")),
                file: file.map(|file| file.to_string_lossy().into_owned()),
                line: symbol.lineno(),
                ..unnamed(address)
            });
        });
        if calls.is_empty() {
            calls.push(unnamed(address));
        }
        self.known.insert(address.address, calls.clone());
        calls
    }
}

/// A call of which only the address is known.
pub(super) fn unnamed(address: &Address) -> Call {
    Call {
        function: None,
        file: None,
        line: None,
        module: address.module.as_ref().map(|module| module.name.clone()),
        offset: address.offset(),
    }
}
