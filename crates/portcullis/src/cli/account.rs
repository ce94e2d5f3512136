//! The name of the account that runs us, where the environment does not say it (containers, cron). It never
//! decides who somebody is to the gate: that takes a login.

use std::fs;

/// The name of the account, as `id -un` says it.
pub fn name() -> Option<String> {
    name_of(&fs::read_to_string("/etc/passwd").ok()?, uid()?)
}

#[cfg(unix)]
fn uid() -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    Some(fs::metadata("/proc/self").ok()?.uid())
}

#[cfg(not(unix))]
fn uid() -> Option<u32> {
    None
}

fn name_of(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|it| !it.is_empty())?;
        let found = fields.nth(1)?.parse::<u32>().ok()?;
        (found == uid).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_of_a_number() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\n::7\nbob:x:7:7::/:/bin/sh\n";
        assert_eq!(name_of(passwd, 0).as_deref(), Some("root"));
        assert_eq!(name_of(passwd, 7).as_deref(), Some("bob"));
        assert_eq!(name_of(passwd, 8), None);
    }
}
