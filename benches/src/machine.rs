//! What a number was measured on: processor, cores, memory, system, build.
//! Never: a host name, a user, a serial number.

use std::fs;
use std::path::Path;

/// One line for the result.
pub fn describe() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = cpu.lines().find(|l| l.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let model = field("model name").unwrap_or_else(|| std::env::consts::ARCH.into());
    let clock =
        field("cpu MHz").and_then(|mhz| mhz.parse::<f64>().ok()).map(|mhz| format!(", {:.1} GHz", mhz / 1000.0));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let build = if cfg!(debug_assertions) { "debug build" } else { "release build" };
    let clock = clock.unwrap_or_default();
    format!("{model}{clock}, {cores} cores, {}, {build}", system())
}

fn system() -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{} {}", std::env::consts::OS, kernel.trim()).trim_end().to_owned()
}

/// The kind of file system that holds `dir`, as far as the system tells.
pub fn file_system(dir: &Path) -> String {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let dir = fs::canonicalize(dir).unwrap_or_else(|_| dir.into());
    kind_in(&mounts, &dir).unwrap_or_else(|| "an unknown file system".into())
}

/// The longest mount point above `dir` decides; of equal ones the last, which lies on top.
fn kind_in(mounts: &str, dir: &Path) -> Option<String> {
    let mut best: Option<(usize, &str)> = None;
    for line in mounts.lines() {
        let mut words = line.split_whitespace().skip(1);
        let (Some(point), Some(kind)) = (words.next(), words.next()) else { continue };
        if dir.starts_with(point) && best.is_none_or(|(len, _)| point.len() >= len) {
            best = Some((point.len(), kind));
        }
    }
    best.map(|(_, kind)| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_decides() {
        let mounts = "overlay / overlay rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/vda /data ext4 rw 0 0\nshort\n";
        for (dir, want) in [("/tmp/x", "tmpfs"), ("/data", "ext4"), ("/database", "overlay")] {
            assert_eq!(kind_in(mounts, Path::new(dir)).as_deref(), Some(want), "{dir}");
        }
        assert_eq!(kind_in("", Path::new("/x")), None);
    }
}
