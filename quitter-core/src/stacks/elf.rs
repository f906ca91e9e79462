//! Reads the headers of ELF files, the format of programs and libraries.

use std::ops::Range;

/// The unwind tables of a module. Their ranges are the file's own addresses.
pub(super) struct Tables {
    pub(super) index: Section,
    pub(super) frames: Section,
}

pub(super) struct Section {
    pub(super) range: Range<u64>,
    pub(super) bytes: Vec<u8>,
}

/// The headers of a 64-bit ELF file in memory.
pub(super) struct Elf {
    pub(super) bias: u64,
    /// The loaded segments, by the file's own addresses.
    loaded: Vec<Range<u64>>,
    /// The index of the unwind tables.
    index: Option<Range<u64>>,
}

impl Elf {
    const HEADER: u64 = 64;
    const SEGMENT: usize = 56;
    const LOAD: u32 = 1;
    const UNWIND_INDEX: u32 = 0x6474_e550;

    pub(super) fn read(start: u64, bytes: impl Fn(Range<u64>) -> Option<Vec<u8>>) -> Option<Self> {
        let header = bytes(start..start + Self::HEADER)?;
        let at = start.checked_add(u64_at(&header, 32)?)?;
        let (size, count) = (u16_at(&header, 54)?, u16_at(&header, 56)?);
        if !is_header(&header) || usize::from(size) != Self::SEGMENT {
            return None;
        }
        let segments = bytes(at..at.checked_add(u64::from(size) * u64::from(count))?)?;
        let mut elf = Self {
            bias: start,
            loaded: Vec::new(),
            index: None,
        };
        for segment in segments.chunks_exact(Self::SEGMENT) {
            let (offset, address) = (u64_at(segment, 8)?, u64_at(segment, 16)?);
            let range = address..address.checked_add(u64_at(segment, 40)?)?;
            match u32_at(segment, 0)? {
                Self::LOAD => {
                    if offset == 0 {
                        elf.bias = start.wrapping_sub(address);
                    }
                    elf.loaded.push(range);
                }
                Self::UNWIND_INDEX => elf.index = Some(range),
                _ => {}
            }
        }
        Some(elf)
    }

    /// The addresses at which the file is loaded.
    pub(super) fn range(&self) -> Range<u64> {
        let start = self.loaded.iter().map(|segment| segment.start).min();
        let end = self.loaded.iter().map(|segment| segment.end).max();
        let of = |address: Option<u64>| self.bias.wrapping_add(address.unwrap_or(0));
        of(start)..of(end)
    }

    pub(super) fn tables(&self, bytes: impl Fn(Range<u64>) -> Option<Vec<u8>>) -> Option<Tables> {
        /// "Signed 32 bits, relative to their own place": what all linkers write.
        const RELATIVE: u8 = 0x1b;
        let section = |range: Range<u64>| {
            let start = self.bias.wrapping_add(range.start);
            let end = self.bias.wrapping_add(range.end);
            let bytes = bytes(start..end)?;
            Some(Section { range, bytes })
        };
        let index = section(self.index.clone()?)?;
        if index.bytes.get(1) != Some(&RELATIVE) {
            return None;
        }
        let distance = u32_at(&index.bytes, 4)?.cast_signed();
        let frames = (index.range.start + 4).checked_add_signed(distance.into())?;
        // The end of the tables is stored nowhere, but marked in them.
        let mut loaded = self.loaded.iter();
        let segment = loaded.find(|segment| segment.contains(&frames))?;
        let frames = section(frames..segment.end)?;
        Some(Tables { index, frames })
    }
}

/// Whether this begins like a 64-bit ELF file of this byte order.
pub(super) fn is_header(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF\x02\x01")
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array_at(bytes, at).map(u16::from_le_bytes)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array_at(bytes, at).map(u32::from_le_bytes)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array_at(bytes, at).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_elf_file_is_no_module() {
        for bytes in [&[0; 64][..], b"\x7fELF\x02\x01", &[0xff; 4096]] {
            let read = |range: Range<u64>| {
                let range = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
                bytes.get(range).map(<[u8]>::to_vec)
            };
            assert!(Elf::read(0, read).is_none());
        }
    }
}
