//! Whether a file has the names of its functions, or was stripped of them.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::elf::{is_header, u16_at, u32_at, u64_at};

/// Whether the file of a program or library has a symbol table. Reads the file, which may hang.
pub(super) fn has_names(path: &Path) -> bool {
    let read = |at, length| {
        let mut bytes = vec![0; length];
        File::open(path).ok()?.read_exact_at(&mut bytes, at).ok()?;
        Some(bytes)
    };
    has_symbols(read).unwrap_or(false)
}

/// Like [`has_names`], for a 64-bit ELF file. `read` takes an offset and a length.
fn has_symbols(read: impl Fn(u64, usize) -> Option<Vec<u8>>) -> Option<bool> {
    const SYMBOLS: u32 = 2;
    let header = read(0, 64)?;
    if !is_header(&header) {
        return None;
    }
    let at = u64_at(&header, 40)?;
    let (size, count) = (u16_at(&header, 58)?, u16_at(&header, 60)?);
    // Other sizes do not occur in such files, and might ask for gigabytes.
    if at == 0 || size != 64 {
        return Some(false);
    }
    let size = usize::from(size);
    let sections = read(at, size * usize::from(count))?;
    let mut sections = sections.chunks_exact(size);
    Some(sections.any(|section| u32_at(section, 4) == Some(SYMBOLS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with sections of these types.
    fn file(sections: &[u32]) -> Vec<u8> {
        let mut file = b"\x7fELF\x02\x01".to_vec();
        file.resize(64, 0);
        file[40] = 64;
        file[58] = 64;
        file[60] = sections.len().try_into().unwrap();
        for kind in sections {
            let mut section = [0; 64];
            section[4..8].copy_from_slice(&kind.to_le_bytes());
            file.extend(section);
        }
        file
    }

    fn of(file: &[u8]) -> Option<bool> {
        has_symbols(|at, length| {
            let at = usize::try_from(at).ok()?;
            file.get(at..at.checked_add(length)?).map(<[u8]>::to_vec)
        })
    }

    #[test]
    fn a_program_has_names_unless_it_was_stripped() {
        // The types: no section, the loader's symbol table, and the table of all symbols.
        assert_eq!(of(&file(&[0, 11, 2])), Some(true));
        assert_eq!(of(&file(&[0, 11])), Some(false));
        assert_eq!(of(&file(&[])), Some(false));
        assert!(has_names(&std::env::current_exe().unwrap()));
    }

    #[test]
    fn what_is_no_file_of_a_program_has_no_names() {
        let mut cut = file(&[0, 11, 2]);
        cut.truncate(100);
        assert_eq!(of(&cut), None);
        assert_eq!(of(b""), None);
        assert_eq!(of(&[0xff; 4096]), None);
        let mut hostile = file(&[0, 2]);
        hostile[40..48].fill(0xff);
        assert_eq!(of(&hostile), None);
        assert!(!has_names(Path::new("/none")));
    }
}
