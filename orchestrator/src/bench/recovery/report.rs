//! The measurement as text: rates, ratios within the run, and the bars.

use std::fmt;

/// Mean milliseconds of the parts of a state's recovery on a fresh clone.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Phases {
    /// Our disk starts to serve.
    pub disk: f64,
    /// QEMU starts and loads the saved state.
    pub start: f64,
    /// The guest gets its randomness, its clock and its disk.
    pub resume: f64,
    /// Mount, walk, unmount and the kernel's log, as the host sees it.
    pub examine: f64,
    /// Of that, mount(2) by the guest's clock.
    pub mount: f64,
    /// Of that, the walk by the guest's clock.
    pub walk: f64,
    /// QEMU is killed and reaped.
    pub end: f64,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct RecoveryBench {
    /// The guests' kernel.
    pub kernel: String,
    /// How their instructions were run.
    pub accel: String,
    /// Crash states of the recording.
    pub states: usize,
    /// States a second by cold boots of the packaged kernel image, with a plain command line.
    pub plain: f64,
    /// States a second by our own cold boots.
    pub ours: f64,
    /// States a second on fresh clones.
    pub fresh: f64,
    /// States a second in screening.
    pub screened: f64,
    /// States a second by loop mounts on the host, or why there are none.
    pub native: Result<f64, String>,
    /// Rate of two clones at once, relative to one at a time.
    pub two_clones: f64,
    /// The same for screening.
    pub two_screeners: f64,
    /// Private memory of a clone after it has recovered a state.
    pub clone_mib: u32,
    /// Where a clone's time goes.
    pub phases: Phases,
    /// Seconds to a first verdict by cold boots.
    pub first_cold: f64,
    /// The same with a template that had to be made.
    pub first_making: f64,
    /// The same with a template from the cache.
    pub first_cached: f64,
    /// Seconds that the workload takes on our device, recorded.
    pub recording_device: f64,
    /// Seconds that it takes on a raw file.
    pub recording_raw: f64,
}

impl fmt::Display for RecoveryBench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "kernel {}, {}; a recording of 200 operations with {} crash states",
            self.kernel, self.accel, self.states
        )?;
        writeln!(
            f,
            "                     states/s   ms/state   of our cold boot   of a plain one"
        )?;
        let mut line = |name: &str, rate: f64| {
            writeln!(
                f,
                "{name:20} {rate:8.2} {:10.0} {:17.2}× {:15.2}×",
                1000.0 / rate,
                rate / self.ours,
                rate / self.plain
            )
        };
        line("cold boot, plain", self.plain)?;
        line("cold boot, ours", self.ours)?;
        line("fresh clone", self.fresh)?;
        line("screening", self.screened)?;
        match &self.native {
            Ok(rate) => line("host's loop mount", *rate)?,
            Err(why) => writeln!(f, "host's loop mount    not possible here: {why}")?,
        }
        let p = &self.phases;
        writeln!(
            f,
            "a clone's state: disk {:.0} ms, QEMU up and restored {:.0}, woken with its disk {:.0}, examined {:.0} \
             (guest: mount {:.0}, walk {:.0}), ended {:.0}",
            p.disk, p.start, p.resume, p.examine, p.mount, p.walk, p.end
        )?;
        writeln!(f, "private memory of a clone: {} MiB", self.clone_mib)?;
        writeln!(
            f,
            "first verdict: {:.2} s by cold boots, {:.2} s making the template, {:.2} s from the cache",
            self.first_cold, self.first_making, self.first_cached
        )?;
        writeln!(
            f,
            "recording: {:.3} s through our device, {:.3} s on a raw file",
            self.recording_device, self.recording_raw
        )?;
        writeln!(f, "bars")?;
        for (what, value, bar, at_least) in self.bars() {
            let met = if at_least { value >= bar } else { value <= bar };
            writeln!(
                f,
                "  {what:42} {value:6.2}  {} {bar:5.2}  {}",
                if at_least { "≥" } else { "≤" },
                if met { "met" } else { "NOT MET" }
            )?;
        }
        Ok(())
    }
}

impl RecoveryBench {
    /// The bars: name, ratio, bar, and whether more is better.
    pub fn bars(&self) -> [(&'static str, f64, f64, bool); 7] {
        [
            ("clone / our cold boot", self.fresh / self.ours, 5.0, true),
            ("clone / plain cold boot", self.fresh / self.plain, 8.0, true),
            ("screening / our cold boot", self.screened / self.ours, 20.0, true),
            (
                "first verdict, cached template / cold",
                self.first_cached / self.first_cold,
                0.3,
                false,
            ),
            ("two clones at once / one", self.two_clones, 1.5, true),
            (
                "two screening guests at once / one",
                self.two_screeners,
                1.5,
                true,
            ),
            (
                "recording, our device / raw file",
                self.recording_device / self.recording_raw,
                1.1,
                false,
            ),
        ]
    }
}
