//! How much memory a part of a recording may take: what was asked for, else half of what the machine has.

use std::path::{Path, PathBuf};

use crate::records::PartBudget;

/// Units of `--max-memory`, the longest first where one ends with another.
const UNITS: [(&str, u64); 12] = [
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("k", 1_000),
    ("m", 1_000_000),
    ("g", 1_000_000_000),
    ("b", 1),
];

/// Memory as people write it: 2GB, 512MiB, 1.5G, 1000000.
pub(super) fn parse_size(text: &str) -> Result<PartBudget, String> {
    match parse_bytes(text)? {
        0 => Err("no memory at all: nothing can be read".to_owned()),
        bytes => Ok(PartBudget::of_bytes(bytes)),
    }
}

/// Bytes as people write them.
pub(super) fn parse_bytes(text: &str) -> Result<u64, String> {
    let lower = text.trim().to_lowercase();
    let unit = UNITS.iter().find(|(unit, _)| lower.ends_with(unit));
    let (number, factor) = match unit {
        Some((unit, factor)) => (lower.trim_end_matches(unit).trim_end(), *factor),
        None => (lower.as_str(), 1),
    };
    let unclear = || "a size like 2GB, 512MiB or 1000000 (bytes) is needed".to_owned();
    let starts_right = number.starts_with(|first: char| first.is_ascii_digit());
    let size =
        number.parse::<f64>().ok().filter(|size| starts_right && size.is_finite()).ok_or_else(unclear)?;
    let bytes = size * factor as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive; what is larger is all there is"
    )]
    Ok(bytes as u64)
}

/// Half of the machine's memory, or of what the process's control group leaves of it.
///
/// Where the system does not say, what `PartBudget` takes.
pub(super) fn half_of_machine() -> PartBudget {
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    let memory = read(Path::new("/proc/meminfo")).and_then(|text| total(&text));
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let limits = limit_files(&groups).into_iter().filter_map(|path| read(&path)?.trim().parse().ok());
    match limits.chain(memory).min() {
        Some(bytes) => PartBudget::of_bytes((bytes / 2).max(1)),
        None => PartBudget::default(),
    }
}

/// Bytes of `MemTotal` in /proc/meminfo.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Where the limits of the control groups in /proc/self/cgroup are: of the process's own and of those it is in.
fn limit_files(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            named if named.split(',').any(|name| name == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        // In a container the path may be the host's; the root then is the container's own.
        let path = Path::new(path.trim_start_matches('/'));
        files.extend(path.ancestors().map(|group| Path::new(root).join(group).join(file)));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let sizes = [
            ("2GB", 2_000_000_000),
            ("512MiB", 512 << 20),
            ("1.5g", 1_500_000_000),
            ("64 kb", 64_000),
            ("1000000", 1_000_000),
            ("7B", 7),
            ("1TiB", 1 << 40),
        ];
        for (text, bytes) in sizes {
            assert_eq!(parse_size(text), Ok(PartBudget::of_bytes(bytes)), "{text}");
        }
        for text in ["", "GB", "-1GB", "much", "0", "inf", "nan", "0.2B", "1XB", "1 2MB", "1e"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_machine_is_asked_for_its_memory() {
        assert_eq!(total("MemTotal:       24117248 kB\nMemFree: 1 kB\n"), Some(24117248 * 1024));
        assert_eq!(total("MemFree: 1 kB\n"), None);
    }

    #[test]
    fn limits_of_all_groups_above_count() {
        let paths =
            |text| limit_files(text).iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
        let expected =
            ["/sys/fs/cgroup/a/b/memory.max", "/sys/fs/cgroup/a/memory.max", "/sys/fs/cgroup/memory.max"];
        assert_eq!(paths("0::/a/b\n"), expected);
        let expected =
            ["/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
        assert_eq!(paths("4:cpu,cpuacct:/x\n5:memory:/x\n"), expected);
    }
}
