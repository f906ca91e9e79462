//! Follows a copied stack from call to call, by the unwind tables of the modules.

use std::collections::HashMap;
use std::rc::Rc;

use framehop::{
    CacheNative, ExplicitModuleSectionInfo, FrameAddress, MayAllocateDuringUnwind, Unwinder,
    UnwinderNative,
};

use super::modules::{Address, Mappings, Module};
use super::signal::{Copied, Registers};

/// The maximum number of calls that are followed.
const MAX_CALLS: usize = 512;

/// The calls of a thread, innermost first.
pub(super) struct Trace {
    pub(super) calls: Vec<Address>,
    /// Whether there are calls beyond the last one.
    pub(super) is_cut: bool,
}

/// Unwinds stacks. Reads each module once, when it is first needed.
pub(super) struct Unwinding {
    mappings: Mappings,
    modules: HashMap<u64, Option<Rc<Module>>>,
    unwinder: UnwinderNative<Vec<u8>, MayAllocateDuringUnwind>,
    cache: CacheNative<MayAllocateDuringUnwind>,
}

impl Unwinding {
    pub(super) fn new(mappings: Mappings) -> Self {
        Self {
            mappings,
            modules: HashMap::new(),
            unwinder: UnwinderNative::new(),
            cache: CacheNative::new_in(),
        }
    }

    /// Follows the calls up to the one whose stack frame holds `mark`.
    pub(super) fn trace(&mut self, copied: &Copied, mark: u64) -> Trace {
        let from = copied.registers.sp;
        let mut read = |address: u64| {
            let at = usize::try_from(address.wrapping_sub(from)).map_err(drop)?;
            let bytes = at.checked_add(8).and_then(|end| copied.bytes.get(at..end));
            let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
            bytes.map(u64::from_le_bytes).ok_or(())
        };
        let mut registers = self.start(copied.registers);
        let mut at = FrameAddress::from_instruction_pointer(copied.registers.pc);
        let mut calls = Vec::new();
        // Without a mark on this stack, every call counts.
        let is_within = |sp: u64| sp <= mark || from > mark;
        loop {
            let lookup = at.address_for_lookup();
            let module = self.module(lookup);
            let can_go_on = module
                .as_ref()
                .is_some_and(|module| module.tables.is_some());
            if !self.mappings.is_code(lookup) && !calls.is_empty() {
                // No call returns to this address.
                return Trace {
                    calls,
                    is_cut: true,
                };
            }
            calls.push(Address {
                address: lookup,
                module,
            });
            if !can_go_on || calls.len() == MAX_CALLS {
                return Trace {
                    calls,
                    is_cut: true,
                };
            }
            let next = self
                .unwinder
                .unwind_frame(at, &mut registers, &mut self.cache, &mut read);
            let is_cut = match next {
                Ok(Some(_)) if !is_within(registers.sp()) => false,
                Ok(Some(next)) => match FrameAddress::from_return_address(next) {
                    Some(next) => {
                        at = next;
                        continue;
                    }
                    None => false,
                },
                Ok(None) => false,
                // The copy ends at the mark.
                Err(_) => from > mark || mark - from >= copied.bytes.len() as u64 + 8,
            };
            return Trace { calls, is_cut };
        }
    }

    /// The trace of calls that were followed already.
    pub(super) fn followed(&mut self, addresses: &[u64], is_cut: bool) -> Trace {
        let call = |address: &u64| Address {
            address: *address,
            module: self.module(*address),
        };
        let calls = addresses.iter().map(call).collect();
        Trace { calls, is_cut }
    }

    /// The module that an address belongs to. The unwinder knows it from then on.
    fn module(&mut self, address: u64) -> Option<Rc<Module>> {
        let start = self.mappings.module_start(address)?;
        if let Some(known) = self.modules.get(&start) {
            return known.clone();
        }
        let mut module = self.mappings.module(start);
        if let Some(module) = &mut module {
            self.unwinder.add_module(known_to_unwinder(module));
        }
        let module = module.map(Rc::new);
        self.modules.insert(start, module.clone());
        module
    }

    #[cfg(target_arch = "x86_64")]
    fn start(&self, registers: Registers) -> framehop::UnwindRegsNative {
        let Registers { pc, sp, fp, .. } = registers;
        framehop::UnwindRegsNative::new(pc, sp, fp)
    }

    #[cfg(target_arch = "aarch64")]
    fn start(&self, registers: Registers) -> framehop::UnwindRegsNative {
        use framehop::aarch64::PtrAuthMask;
        let Registers { sp, fp, lr, .. } = registers;
        // Return addresses may be signed in their upper bits, which no address of a program uses.
        let mask = PtrAuthMask((1 << 48) - 1);
        framehop::UnwindRegsNative::new_with_ptr_auth_mask(mask, lr, sp, fp)
    }
}

/// Moves the tables to the unwinder.
fn known_to_unwinder(module: &mut Module) -> framehop::Module<Vec<u8>> {
    let mut sections = ExplicitModuleSectionInfo::default();
    if let Some(tables) = &mut module.tables {
        sections.eh_frame_hdr_svma = Some(tables.index.range.clone());
        sections.eh_frame_hdr = Some(std::mem::take(&mut tables.index.bytes));
        sections.eh_frame_svma = Some(tables.frames.range.clone());
        sections.eh_frame = Some(std::mem::take(&mut tables.frames.bytes));
    }
    framehop::Module::new(
        module.name.clone(),
        module.range.clone(),
        module.bias,
        sections,
    )
}
