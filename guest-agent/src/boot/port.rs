//! The virtio-serial port that leads to the host.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

/// The port's name, as the host gives it to QEMU.
pub(crate) const NAME: &str = "coldcut.agent";

const PORTS: &str = "/sys/class/virtio-ports";

/// Finds the port called `name` and opens it, waiting up to `wait` for it to appear.
pub(crate) fn find(name: &str, wait: Duration) -> Result<File, String> {
    let deadline = Instant::now() + wait;
    loop {
        if let Some(node) = node_of(Path::new(PORTS), name) {
            match File::options().read(true).write(true).open(&node) {
                Ok(file) => return Ok(file),
                Err(error) if Instant::now() >= deadline => {
                    return Err(format!("open {}: {error}", node.display()));
                }
                Err(_) => {}
            }
        } else if Instant::now() >= deadline {
            return Err(format!(
                "no virtio-serial port is called {name} after {} s (ports: {})",
                wait.as_secs(),
                port_names(Path::new(PORTS))
            ));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Finds the device node of the port called `name` below a `virtio-ports` class directory.
fn node_of(ports: &Path, name: &str) -> Option<PathBuf> {
    for entry in std::fs::read_dir(ports).ok()?.flatten() {
        let text = std::fs::read_to_string(entry.path().join("name"));
        if text.is_ok_and(|text| text.trim_end() == name) {
            return Some(Path::new("/dev").join(entry.file_name()));
        }
    }
    None
}

fn port_names(ports: &Path) -> String {
    let Ok(entries) = std::fs::read_dir(ports) else {
        return "none: is virtio_console loaded?".to_owned();
    };
    let names: Vec<_> = entries
        .flatten()
        .map(|entry| {
            let name = std::fs::read_to_string(entry.path().join("name")).unwrap_or_default();
            format!("{} `{}`", entry.file_name().to_string_lossy(), name.trim_end())
        })
        .collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

/// Waits until the host has its end of the port open (poll(2) says `POLLHUP` until then).
pub(crate) fn wait_connected(port: &File, wait: Duration) -> Result<(), String> {
    let deadline = Instant::now() + wait;
    loop {
        let mut fds = [PollFd::new(port, PollFlags::OUT)];
        let none = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(&mut fds, Some(&none)).map_err(|errno| format!("poll the port: {errno}"))?;
        if !fds[0].revents().contains(PollFlags::HUP) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(format!(
                "the host closed the port and did not return in {} s",
                wait.as_secs()
            ));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_found_by_name() {
        let dir = tempfile::tempdir().unwrap();
        for (port, name) in [
            ("vport1p1", "org.qemu.guest_agent.0\n"),
            ("vport1p2", "coldcut.agent\n"),
        ] {
            std::fs::create_dir(dir.path().join(port)).unwrap();
            std::fs::write(dir.path().join(port).join("name"), name).unwrap();
        }
        assert_eq!(node_of(dir.path(), NAME), Some(PathBuf::from("/dev/vport1p2")));
        assert_eq!(node_of(dir.path(), "coldcut"), None);
        assert!(port_names(dir.path()).contains("vport1p1 `org.qemu.guest_agent.0`"));
    }
}
