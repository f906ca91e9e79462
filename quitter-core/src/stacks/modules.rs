//! The files that are mapped into the process.
//!
//! Everything is read through `/proc/self/mem`: if a library is unloaded meanwhile, the stack ends, and not
//! the process.

use std::cell::OnceCell;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::rc::Rc;

use super::data::is_systems;
use super::elf::{Elf, Tables};
use super::stripped;

/// More than the tables of any program that was measured.
const MAX_BYTES: u64 = 256 << 20;

/// The mappings of the process.
pub(super) struct Mappings {
    list: Vec<Mapping>,
    memory: File,
}

/// A line of `/proc/self/maps`.
#[derive(Debug, PartialEq, Eq)]
struct Mapping {
    range: Range<u64>,
    is_code: bool,
    offset: u64,
    /// Device and inode: they tell apart files that had the same name.
    file: String,
    path: String,
}

/// A program or a library.
pub(super) struct Module {
    /// The name of its file.
    pub(super) name: String,
    pub(super) range: Range<u64>,
    /// The difference between the addresses in memory and the file's own.
    pub(super) bias: u64,
    /// Whether the file was deleted, and its symbols with it: another file may have its path now.
    pub(super) is_deleted: bool,
    path: PathBuf,
    has_names: OnceCell<bool>,
    pub(super) tables: Option<Tables>,
}

impl Module {
    /// The size of its file; 0 if that is unknown. Asks the file system, which may hang.
    pub(super) fn file_size(&self) -> u64 {
        self.path.metadata().map_or(0, |file| file.len())
    }
}

/// Opens the process's memory, for reading.
pub(super) fn memory() -> io::Result<File> {
    File::open("/proc/self/mem")
}

impl Mappings {
    pub(super) fn read() -> io::Result<Self> {
        let maps = std::fs::read("/proc/self/maps")?;
        let maps = String::from_utf8_lossy(&maps);
        Ok(Self {
            list: maps.lines().filter_map(Mapping::parse).collect(),
            memory: memory()?,
        })
    }

    /// A hash that tells this list of modules from others.
    pub(super) fn fingerprint(&self) -> u64 {
        let code = self
            .list
            .iter()
            .filter(|map| map.is_code && map.is_module());
        let mut hasher = DefaultHasher::new();
        for map in code {
            (map.range.start, &map.file).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// The start of the first mapping of the module whose code contains the address. `None` if no file's code
    /// does.
    pub(super) fn module_start(&self, address: u64) -> Option<u64> {
        let (at, map) = self.find(address)?;
        if !(map.is_code && map.is_module()) {
            return None;
        }
        let before = self.list[..=at].iter().rev();
        let mut of_file = before.filter(|other| other.file == map.file && other.path == map.path);
        let first = of_file.find(|other| other.offset == 0)?;
        Some(first.range.start)
    }

    /// How many bytes a stack can still grow by, given its stack pointer. `None` if that is unknown.
    pub(super) fn room_below(&self, address: u64) -> Option<u64> {
        let (_, map) = self.find(address)?;
        // The main thread's stack grows.
        (map.path != "[stack]").then(|| address - map.range.start)
    }

    /// Whether an address is code, of a file or not.
    pub(super) fn is_code(&self, address: u64) -> bool {
        self.find(address).is_some_and(|(_, map)| map.is_code)
    }

    /// The mapping that holds an address, with its index in the list.
    fn find(&self, address: u64) -> Option<(usize, &Mapping)> {
        let at = self.list.partition_point(|map| map.range.end <= address);
        let map = self.list.get(at)?;
        map.range.contains(&address).then_some((at, map))
    }

    /// Reads the module that starts at `start`.
    pub(super) fn module(&self, start: u64) -> Option<Module> {
        let map = self.list.iter().find(|map| map.range.start == start)?;
        let elf = Elf::read(start, |range| self.bytes(range))?;
        let path = map.path.strip_suffix(" (deleted)");
        Some(Module {
            name: map.name(),
            range: elf.range(),
            bias: elf.bias,
            is_deleted: path.is_some(),
            path: map.path.as_str().into(),
            has_names: OnceCell::new(),
            tables: elf.tables(|range| self.bytes(range)),
        })
    }

    fn bytes(&self, range: Range<u64>) -> Option<Vec<u8>> {
        let length = range.end.checked_sub(range.start)?;
        if length > MAX_BYTES {
            return None;
        }
        let length = usize::try_from(length).ok()?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length).ok()?;
        bytes.resize(length, 0);
        self.memory.read_exact_at(&mut bytes, range.start).ok()?;
        Some(bytes)
    }
}

impl Mapping {
    /// Parses "7f5985f46000-7f5985f48000 rw-p 00039000 103:06 76021795 /usr/lib/libc.so.6".
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.splitn(6, ' ');
        let mut field = || fields.next();
        let (start, end) = field()?.split_once('-')?;
        let (permissions, offset) = (field()?, field()?);
        let (device, inode) = (field()?, field()?);
        let hex = |text| u64::from_str_radix(text, 16).ok();
        Some(Self {
            range: hex(start)?..hex(end)?,
            is_code: permissions.contains('x'),
            offset: hex(offset)?,
            file: format!("{device} {inode}"),
            path: field().unwrap_or_default().trim_start().to_owned(),
        })
    }

    /// Whether this is a mapping of a module. Memory that belongs to no file may hold anything. The kernel's
    /// vDSO is a module.
    fn is_module(&self) -> bool {
        self.path.starts_with('/') || self.path == "[vdso]"
    }

    fn name(&self) -> String {
        let path = self.path.strip_suffix(" (deleted)").unwrap_or(&self.path);
        path.rsplit('/').next().unwrap_or(path).to_owned()
    }
}

/// A code address in a module.
#[derive(Clone)]
pub(super) struct Address {
    /// Inside the instruction that is running, or that made the call.
    pub(super) address: u64,
    pub(super) module: Option<Rc<Module>>,
}

impl Address {
    pub(super) fn is_systems(&self) -> bool {
        let module = self.module.as_ref();
        module.is_some_and(|module| is_systems(&module.name))
    }

    /// Whether it is in a file of the program's that has names. Reads the file, which may hang.
    pub(super) fn may_have_name(&self) -> bool {
        let own = self.module.as_ref();
        let own = own.filter(|module| !module.is_deleted && !is_systems(&module.name));
        own.is_some_and(|module| {
            let look = || stripped::has_names(&module.path);
            *module.has_names.get_or_init(look)
        })
    }

    /// The address in the module, as `addr2line` takes it.
    pub(super) fn offset(&self) -> u64 {
        let bias = self.module.as_ref().map_or(0, |module| module.bias);
        self.address.wrapping_sub(bias)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_mappings_is_read_with_a_path_that_has_spaces() {
        let line =
            "7f5985f46000-7f5985f48000 r-xp 00039000 103:06 76021795      /opt/my lib.so (deleted)";
        let mapping = Mapping::parse(line).unwrap();
        assert_eq!(mapping.range, 0x7f59_85f4_6000..0x7f59_85f4_8000);
        assert!(mapping.is_code && mapping.is_module());
        assert_eq!(
            (mapping.offset, &mapping.file[..]),
            (0x39000, "103:06 76021795")
        );
        assert_eq!(mapping.name(), "my lib.so");
        let anonymous = Mapping::parse("35b1a21000-35b1a22000 rwxp 00000000 00:00 0 ").unwrap();
        assert!(!anonymous.is_module());
        assert_eq!(Mapping::parse("no mapping"), None);
    }

    #[test]
    fn every_module_of_this_process_can_be_read_or_is_none() {
        let mappings = Mappings::read().unwrap();
        let mut with_tables = 0;
        for mapping in mappings.list.iter().filter(|mapping| mapping.is_code) {
            if let Some(start) = mappings.module_start(mapping.range.start) {
                let module = mappings.module(start).unwrap();
                assert!(module.range.contains(&mapping.range.start));
                with_tables += usize::from(module.tables.is_some());
            }
        }
        assert!(with_tables >= 1);
    }
}
