//! Powering the guest off.

use std::time::Duration;

use crate::failure::strerror;

/// Cuts the power without writing anything back.
pub(crate) fn power_off() -> ! {
    loop {
        if let Err(errno) = rustix::system::reboot(rustix::system::RebootCommand::PowerOff) {
            eprintln!("coldcut-agent: power-off: {}", strerror(errno));
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}
