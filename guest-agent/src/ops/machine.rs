//! Operations on the machine rather than on a file.

use std::time::Duration;

use coldcut_wire::{Failure, op};

use crate::clock::Stopwatch;
use crate::failure::{Tried, refuse};

/// Longest sleep: an hour.
const MAX_SLEEP_MS: u64 = 3_600_000;

/// Makes every filesystem durable; sync(2) returns nothing.
pub(super) fn sync(watch: &mut Stopwatch) -> i64 {
    watch.time(rustix::fs::sync);
    0
}

/// Sleeps.
pub(super) fn sleep(op: &op::Sleep, watch: &mut Stopwatch) -> Result<(), Failure> {
    let millis = op.millis;
    if millis > MAX_SLEEP_MS {
        return Err(refuse(format!(
            "a sleep of {millis} ms is over the limit of {MAX_SLEEP_MS} ms"
        )));
    }
    watch.time(|| std::thread::sleep(Duration::from_millis(millis)));
    Ok(())
}

/// Drops the kernel's clean caches.
pub(super) fn drop_caches(op: &op::DropCaches, watch: &mut Stopwatch) -> Result<i64, Failure> {
    let what = op.what;
    if !(1..=3).contains(&what) {
        return Err(refuse(format!("drop_caches takes 1, 2 or 3, not {what}")));
    }
    put("/proc/sys/vm/drop_caches", &what.to_string(), watch)
}

/// Sets a kernel setting by its sysctl(8) name.
pub(super) fn sysctl(op: &op::Sysctl, watch: &mut Stopwatch) -> Result<i64, Failure> {
    let op::Sysctl { name, value } = op;
    let parts: Vec<&str> = name.split('.').collect();
    if parts.iter().any(|part| part.is_empty()) || name.contains(['/', '\0']) {
        return Err(refuse(format!(
            "`{name}` is no sysctl; expected a name such as vm.dirty_expire_centisecs"
        )));
    }
    put(&format!("/proc/sys/{}", parts.join("/")), value, watch)
}

fn put(path: &str, value: &str, watch: &mut Stopwatch) -> Result<i64, Failure> {
    use std::io::Write;
    watch
        .time(|| {
            let mut file = std::fs::File::options().write(true).open(path)?;
            file.write_all(value.as_bytes())
        })
        .tried(|| format!("write `{value}` to {path}"))?;
    Ok(value.len() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_sysctl_is_refused() {
        let mut watch = Stopwatch::default();
        for bad in ["", "vm", "vm..x", "../etc/passwd", "vm/x", ".vm"] {
            let setting = op::Sysctl {
                name: bad.to_owned(),
                value: "1".to_owned(),
            };
            let result = sysctl(&setting, &mut watch);
            assert!(result.is_err(), "{bad:?} must be refused or not exist");
        }
        for what in [0, 4] {
            assert!(drop_caches(&op::DropCaches { what }, &mut watch).is_err());
        }
        assert!(sleep(&op::Sleep { millis: u64::MAX }, &mut watch).is_err());
    }
}
