//! Whether memory is left for a capture.
//!
//! Where memory is limited, too much of it ends the process, and with it the report that was to have the
//! stacks: beyond a limit of addresses, as of `ulimit -v`, an allocation fails; beyond the memory of a
//! container, or of a small machine, the kernel kills. The libraries that read names allocate without asking,
//! so this asks before them.

use std::fs;
use std::path::Path;

use crate::system;

/// In bytes.
struct Need {
    addresses: u64,
    /// Of these, what is used, and does not only map files.
    used: u64,
}

/// Enough to start a thread, to copy the stacks of 64 others, and to read the tables that unwind them.
const FOR_STACKS: Need = Need {
    addresses: 32 << 20,
    used: 4 << 20,
};

/// What the allocator reserves for a new thread, if that is left: 64 MiB of addresses in glibc.
const FOR_THREAD: u64 = 66 << 20;

pub(super) fn is_left_for_stacks() -> bool {
    let with_thread = Need {
        addresses: FOR_THREAD + FOR_STACKS.addresses,
        ..FOR_STACKS
    };
    let thread_leaves_enough = || !has_addresses(FOR_THREAD) || is_left(&with_thread);
    is_left(&FOR_STACKS) && thread_leaves_enough()
}

/// Whether the names in files of these sizes can be read: the files are mapped, and half as much again is
/// computed from them.
pub(super) fn is_left_for_names(sizes: impl Iterator<Item = u64>) -> bool {
    let files = sizes.fold(0, u64::saturating_add);
    is_left(&Need {
        addresses: files.saturating_mul(2).saturating_add(FOR_STACKS.addresses),
        used: files / 2 + FOR_STACKS.used,
    })
}

fn is_left(need: &Need) -> bool {
    let read = |path: &Path| fs::read_to_string(path).ok();
    has_addresses(need.addresses) && left(read).is_none_or(|left| left >= need.used)
}

fn has_addresses(bytes: u64) -> bool {
    usize::try_from(bytes).is_ok_and(system::is_memory_left)
}

/// How many bytes the machine and the control groups of this process leave, if that is known. `read` reads a
/// file.
fn left(read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let machine = read(Path::new("/proc/meminfo"));
    let machine = machine.and_then(|info| number_after(&info, "MemAvailable:"));
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let groups = groups.lines().filter_map(Group::of_line);
    let left_in = groups.flat_map(|group| group.each_left(&read));
    machine
        .map(|kib| kib * 1024)
        .into_iter()
        .chain(left_in)
        .min()
}

/// The number after `key` at the beginning of a line.
fn number_after(text: &str, key: &str) -> Option<u64> {
    let mut values = text.lines().filter_map(|line| line.strip_prefix(key));
    values.next()?.split_whitespace().next()?.parse().ok()
}

/// A control group that may limit memory, and the names of its files.
struct Group<'a> {
    root: &'static str,
    path: &'a str,
    limit: &'static str,
    used: &'static str,
    /// The pages of files, which the kernel can take back.
    cached: [&'static str; 2],
}

impl<'a> Group<'a> {
    /// Parses "0::/system.slice/store.service", or "4:memory:/docker/1a2b" of the older kind.
    fn of_line(line: &'a str) -> Option<Self> {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        if controllers.is_empty() {
            Some(Self {
                root: "/sys/fs/cgroup",
                path,
                limit: "memory.max",
                used: "memory.current",
                cached: ["active_file ", "inactive_file "],
            })
        } else if controllers.split(',').any(|name| name == "memory") {
            Some(Self {
                root: "/sys/fs/cgroup/memory",
                path,
                limit: "memory.limit_in_bytes",
                used: "memory.usage_in_bytes",
                cached: ["total_active_file ", "total_inactive_file "],
            })
        } else {
            None
        }
    }

    /// What the group leaves, and what each one leaves that it belongs to. A container may see its own group
    /// as the root.
    fn each_left(&self, read: impl Fn(&Path) -> Option<String>) -> Vec<u64> {
        let path = Path::new(self.path.trim_start_matches('/'));
        let left_in = |path: &Path| {
            let read = |name| read(&Path::new(self.root).join(path).join(name));
            let number = |name| read(name)?.trim().parse::<u64>().ok();
            let (limit, used) = (number(self.limit)?, number(self.used)?);
            let cached = read("memory.stat").map_or(0, |stat| {
                let of_kind = self
                    .cached
                    .iter()
                    .filter_map(|key| number_after(&stat, key));
                of_kind.sum()
            });
            Some(limit.saturating_sub(used.saturating_sub(cached)))
        };
        path.ancestors().filter_map(left_in).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_a_little_and_not_for_everything() {
        assert!(is_left_for_stacks() && is_left_for_names([1 << 20].into_iter()));
        assert!(!has_addresses(u64::MAX) && !is_left_for_names([u64::MAX; 2].into_iter()));
    }

    /// What is left on a machine with these files.
    fn left_with(files: &[(&str, &str)]) -> Option<u64> {
        left(|path| {
            let file = files.iter().find(|(name, _)| Path::new(name) == path);
            file.map(|(_, text)| (*text).to_owned())
        })
    }

    const MACHINE: (&str, &str) = (
        "/proc/meminfo",
        "MemTotal:  500 kB\nMemFree:  7 kB\nMemAvailable:     100 kB\n",
    );

    #[test]
    fn without_limits_the_machine_is_the_limit() {
        assert_eq!(left_with(&[]), None);
        assert_eq!(left_with(&[MACHINE]), Some(100 * 1024));
        let unlimited = [
            MACHINE,
            ("/proc/self/cgroup", "0::/a/b\n"),
            ("/sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("/sys/fs/cgroup/a/b/memory.current", "7000\n"),
        ];
        assert_eq!(left_with(&unlimited), Some(100 * 1024));
    }

    #[test]
    fn the_narrowest_group_counts_and_pages_of_files_are_free() {
        let files = [
            MACHINE,
            ("/proc/self/cgroup", "1:name=systemd:/x\n0::/a/b\n"),
            ("/sys/fs/cgroup/a/b/memory.max", "90000\n"),
            ("/sys/fs/cgroup/a/b/memory.current", "1000\n"),
            ("/sys/fs/cgroup/a/memory.max", "50000\n"),
            ("/sys/fs/cgroup/a/memory.current", "45000\n"),
            (
                "/sys/fs/cgroup/a/memory.stat",
                "file 9\ninactive_file 3000\nactive_file 400\n",
            ),
        ];
        assert_eq!(left_with(&files), Some(8400));
    }

    #[test]
    fn a_container_of_the_older_kind_sees_its_group_as_the_root() {
        let files = [
            (
                "/proc/self/cgroup",
                "5:cpu:/docker/1a\n4:hugetlb,memory:/docker/1a\n",
            ),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "50000\n"),
            ("/sys/fs/cgroup/memory/memory.usage_in_bytes", "60000\n"),
            (
                "/sys/fs/cgroup/memory/memory.stat",
                "total_inactive_file 20000\n",
            ),
        ];
        assert_eq!(left_with(&files), Some(10_000));
    }
}
