//! What Linux counts: CPU time of processes and of the machine, memory, open files. It reads /proc
//! and changes nothing but the mark of the highest memory, which is there to be reset.

use std::collections::BTreeMap;
use std::fs;

use crate::Trouble;

/// Clock ticks a second in /proc: the same on every Linux that PostgreSQL runs on.
const TICKS: f64 = 100.0;

/// What a process and its children have used so far.
struct Entry {
    parent: u32,
    ticks: u64,
}

/// Seconds of CPU of a process, all its threads, and its children, whether they live or were waited for.
pub(crate) fn cpu_seconds(process: u32) -> f64 {
    let entries = entries();
    let mut total = 0;
    let mut waiting = vec![process];
    while let Some(next) = waiting.pop() {
        total += entries.get(&next).map_or(0, |entry| entry.ticks);
        let children = entries.iter().filter(|(_, entry)| entry.parent == next);
        waiting.extend(children.map(|(&child, _)| child));
    }
    seconds(total)
}

/// Seconds of CPU that anybody used, all cores together, since the machine started.
pub(crate) fn busy_seconds() -> Result<f64, Trouble> {
    let stat = fs::read_to_string("/proc/stat")?;
    let first = stat.lines().next().unwrap_or_default();
    let fields: Vec<u64> = first
        .split_whitespace()
        .skip(1)
        .filter_map(|it| it.parse().ok())
        .collect();
    // user, nice, system; then idle and waiting for a disk; then interrupts.
    let used = |places: std::ops::Range<usize>| fields.get(places).unwrap_or_default().iter().sum();
    let (working, interrupts): (u64, u64) = (used(0..3), used(5..7));
    Ok(seconds(working + interrupts))
}

/// Memory of a process in KiB, shared pages counted by their share.
pub(crate) fn memory_kib(process: u32) -> Result<f64, Trouble> {
    field(&format!("/proc/{process}/smaps_rollup"), "Pss:")
}

/// Resident memory of a process in KiB.
pub(crate) fn resident_kib(process: u32) -> Result<f64, Trouble> {
    field(&format!("/proc/{process}/status"), "VmRSS:")
}

/// The highest resident memory in KiB since `forget_peak`.
pub(crate) fn peak_kib(process: u32) -> Result<f64, Trouble> {
    field(&format!("/proc/{process}/status"), "VmHWM:")
}

/// Starts counting the highest resident memory anew.
pub(crate) fn forget_peak(process: u32) -> Result<(), Trouble> {
    Ok(fs::write(format!("/proc/{process}/clear_refs"), "5")?)
}

/// How many files this process may have open: now, and if it asks for more.
pub(crate) fn open_files_max() -> Result<(usize, usize), Trouble> {
    let limits = fs::read_to_string("/proc/self/limits")?;
    let line = limits.lines().find(|it| it.starts_with("Max open files"));
    let mut numbers = line.into_iter().flat_map(str::split_whitespace).skip(3);
    let mut next = || match numbers.next() {
        Some("unlimited") => Ok(usize::MAX),
        number => number.and_then(|it| it.parse().ok()).ok_or("no limits"),
    };
    Ok((next()?, next()?))
}

/// Processor, cores, memory and kernel, in one line.
pub(crate) fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model
        .and_then(|it| it.split_once(':'))
        .map(|it| it.1.trim());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let gib = field("/proc/meminfo", "MemTotal:").unwrap_or_default() / 1024.0 / 1024.0;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let model = model.unwrap_or(std::env::consts::ARCH);
    format!(
        "{cores} cores of {model}, {gib:.0} GiB, Linux {}",
        kernel.trim()
    )
}

fn field(file: &str, name: &str) -> Result<f64, Trouble> {
    let text = fs::read_to_string(file)?;
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    let number = value.and_then(|it| it.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| format!("{file} has no {name}").into())
}

fn entries() -> BTreeMap<u32, Entry> {
    let mut entries = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let id = entry.file_name().to_str().and_then(|it| it.parse().ok());
        // One that ends while we look is one that is not there.
        if let Some(id) = id
            && let Ok(stat) = fs::read_to_string(entry.path().join("stat"))
            && let Some(read) = read(&stat)
        {
            entries.insert(id, read);
        }
    }
    entries
}

/// The name stands in parentheses and may hold any, so the fields are those behind the last one:
/// state, parent, and eleven further on the four times.
fn read(stat: &str) -> Option<Entry> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11..15)?.iter().map(|it| it.parse::<u64>().ok());
    Some(Entry {
        parent: fields.get(1)?.parse().ok()?,
        ticks: ticks.sum::<Option<u64>>()?,
    })
}

fn seconds(ticks: u64) -> f64 {
    // Good for a year of 136 cores.
    f64::from(u32::try_from(ticks).unwrap_or(u32::MAX)) / TICKS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_hides_nothing() {
        let stat = "7 (a) b) S 1 7 7 0 -1 0 0 0 0 0 10 20 3 4 20 0 1";
        let read = read(stat).unwrap();
        assert_eq!((read.parent, read.ticks), (1, 37));
    }

    #[test]
    fn this_process_uses_files_and_memory() {
        let (soft, hard) = open_files_max().unwrap();
        assert!(soft > 0 && soft <= hard, "{soft} {hard}");
        assert!(resident_kib(std::process::id()).unwrap() > 0.0);
        assert!(busy_seconds().unwrap() > 0.0);
    }
}
