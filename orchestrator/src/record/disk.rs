//! Runs the steps that inject faults into the disk under test, and reports on its faults at the end.

use std::time::Duration;

use coldcut_core::faults::Pace;
use coldcut_core::outcome::unknown::{Cause, Unknown};
use coldcut_core::scenario::{DeviceAction, DeviceSpec};
use coldcut_wire::PatternName;

use crate::disk::{Faults, Resume};

/// The faults of a disk that a scenario describes: its pace, and nothing armed yet.
pub(crate) fn faults(spec: DeviceSpec) -> Faults {
    let latency = spec.latency_ms.saturating_mul(1_000_000);
    Faults::new(Pace::new(spec.bandwidth, latency))
}

/// Runs a step. An error says why the recording is not what the scenario describes.
pub(crate) async fn act(
    faults: &Faults,
    action: &DeviceAction,
    patterns: &[PatternName],
) -> Result<(), Unknown> {
    match action {
        DeviceAction::Arm { fault, within_ms } => {
            let ids = fault.filter.whose.as_ref().map(|whose| whose.ids(patterns));
            let within = Duration::from_millis(within_ms.unwrap_or(0));
            faults.arm(fault.clone(), ids, within);
            Ok(())
        }
        DeviceAction::WaitHeld {
            name,
            count,
            within_ms,
        } => {
            let held = faults.held(name, *count as usize);
            let within = Duration::from_millis(*within_ms);
            tokio::time::timeout(within, held).await.map_err(|_| {
                let all = faults.in_force();
                let now = all.iter().find(|(fault, ..)| fault == name).map_or(0, |f| f.2);
                let words = format!("`{name}` held {now} of {count} requests after {within_ms} ms");
                Unknown::of(Cause::TimedOut, words)
            })
        }
        DeviceAction::Release { name, fail } => {
            let resume = if *fail {
                Resume::Fail(crate::disk::proto::Errno::Io)
            } else {
                Resume::Proceed
            };
            match faults.release(name, resume) {
                // A protection or a hazard that was never there shows nothing.
                Some((0, _)) => Err(Unknown::new(format!("`{name}` had applied to no request"))),
                Some(_) => Ok(()),
                None => Err(Unknown::new(format!("there is no `{name}` in force"))),
            }
        }
        DeviceAction::Set {
            bandwidth,
            latency_ms,
        } => {
            faults.set_pace(*bandwidth, latency_ms.map(Duration::from_millis));
            Ok(())
        }
    }
}

/// Releases every held request, for which an unmount would wait, and returns notes about them.
pub(crate) fn release_all(faults: &Faults) -> Vec<String> {
    let held = faults.in_force().into_iter().filter(|(.., held)| *held > 0);
    held.map(|(name, _, held)| {
        faults.release(&name, Resume::Proceed);
        format!(
            "`{name}` was released at the end of the workload, holding {}",
            requests(held)
        )
    })
    .collect()
}

/// Returns notes about the disk when the recording has ended.
///
/// # Errors
/// A fault that applied to no request: the recording is not what the scenario describes.
pub(crate) fn at_the_end(faults: &Faults) -> Result<Vec<String>, Unknown> {
    let mut notes = Vec::new();
    for (name, hits, held) in faults.in_force() {
        if hits == 0 {
            return Err(Unknown::new(format!(
                "`{name}` applied to no request of the workload"
            )));
        }
        if held > 0 {
            notes.push(format!(
                "`{name}` still held {} when the recording ended",
                requests(held)
            ));
        }
    }
    Ok(notes)
}

fn requests(count: usize) -> String {
    if count == 1 {
        "1 request".to_owned()
    } else {
        format!("{count} requests")
    }
}
