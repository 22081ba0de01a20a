//! Puts a scenario into a mode of a filesystem.

use super::names::rests_on_names;
use crate::filesystem::{Covers, Disk, FsType, Mode, mode};
use crate::outcome::verdict::Declared;
use crate::scenario::{AppliedMode, Check, FsSource, Scenario, Step, Variant, flatten, show_size};

/// No space is left.
const ENOSPC: i32 = 28;

/// Why a variant is not run in a mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotCovered {
    /// Nothing that the scenario expects is about what was made durable.
    #[error("none of its expectations is promised ({source_of}): {says}")]
    NoExpectation {
        /// What the mode promises, in our words.
        says: &'static str,
        /// Where it is documented.
        source_of: &'static str,
    },
    /// The variant is a hazard: it belongs to the mode that it was written for.
    #[error("it declares a hazard of its own mode")]
    Hazard,
    /// It brings a filesystem of its own.
    #[error("its filesystem is an image, which cannot be made in another mode")]
    Image,
    /// It is on several disks.
    #[error("it is on several disks, and the modes are of one")]
    Disks,
    /// It is about an option of another filesystem.
    #[error("it is about `{option}` of {fstype}")]
    OfAnother {
        /// The option of mount or mkfs.
        option: String,
        /// The filesystem that has the option.
        fstype: FsType,
    },
    /// What it declares of a hazard depends on the kernel, which says nothing of another filesystem.
    #[error("it declares a hazard of {0} kernel by kernel")]
    ByKernel(FsType),
    /// It fills its disk, which is smaller than the other filesystem can be.
    #[error("it fills a disk of {}, and {fstype} has none below {}", show_size(*.size), show_size(.fstype.min_size))]
    Fills {
        /// Bytes of its disk.
        size: u64,
        /// The other filesystem.
        fstype: FsType,
    },
    /// It waits for commits, and the filesystem has no jbd2 journal.
    #[error("it waits for a commit, which needs a jbd2 journal; {0} has none")]
    Commit(FsType),
}

/// A variant that is not run in a mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The variant.
    pub variant: String,
    /// The mode.
    pub mode: &'static str,
    /// Why.
    pub why: NotCovered,
}

impl LeftOut {
    /// Whether the variant is run in no mode at all.
    pub fn is_hazard(&self) -> bool {
        self.why == NotCovered::Hazard
    }
}

impl Variant {
    /// Puts this variant into a mode, under the name `VARIANT@MODE`: it is made and mounted so, and expects what the mode
    /// promises. Where the mode promises nothing, what was made durable stays expected, and the outcome is only observed.
    ///
    /// A hazard is run in the modes of other filesystems too, since what is lost without fsync does not depend on the
    /// mode. In other modes of its own filesystem it is not: it belongs to the mode that it was written for.
    ///
    /// # Errors
    /// [`NotCovered`].
    pub fn in_mode(&self, fstype: FsType, mode: &Mode) -> Result<Self, NotCovered> {
        let own = self.filesystem.fstype;
        let FsSource::Make { size, mkfs } = &self.filesystem.source else {
            return Err(NotCovered::Image);
        };
        if !self.filesystem.disks.is_empty() {
            return Err(NotCovered::Disks);
        }
        let mkfs = if fstype == own {
            if self.outcome != Declared::Holds {
                return Err(NotCovered::Hazard);
            }
            mkfs.as_slice()
        } else {
            self.fits(fstype, *size, mkfs)?;
            &[]
        };
        let mut variant = self.clone();
        variant.name = format!("{}@{}", self.name, mode.name);
        variant.mode = Some(AppliedMode {
            name: mode.name,
            own: self.name.clone(),
        });
        variant.filesystem.fstype = fstype;
        variant.filesystem.source = FsSource::Make {
            size: fstype.min_size.max(*size),
            mkfs: fstype.mkfs.in_mode(mkfs, mode),
        };
        let mounts = [self.filesystem.mount.as_str(), mode.mount];
        variant.filesystem.mount = mounts
            .into_iter()
            .filter(|options| !options.is_empty())
            .collect::<Vec<_>>()
            .join(",");
        if mode.disk == Disk::Battery {
            variant.device.write_cache = false;
        }
        variant.filesystem.repair |= !mode.journal;
        variant.hold_to(mode)?;
        Ok(variant)
    }

    /// Whether it can be run on another filesystem than its own, for which it has a disk of this size and
    /// these options of mkfs.
    fn fits(&self, fstype: FsType, size: u64, mkfs: &[String]) -> Result<(), NotCovered> {
        let own = self.filesystem.fstype;
        if self.outcome.is_open() {
            return Err(NotCovered::ByKernel(own));
        }
        if self.waits_for_commits() && !fstype.jbd2 {
            return Err(NotCovered::Commit(fstype));
        }
        let fills = |step: &Step| step.expected_errno == Some(ENOSPC);
        if size < fstype.min_size && flatten(&self.setup).chain(self.steps()).any(fills) {
            return Err(NotCovered::Fills { size, fstype });
        }
        let mount = Some(self.filesystem.mount.as_str()).filter(|options| !options.is_empty());
        match mount.or_else(|| own.mkfs.beyond_geometry(mkfs)) {
            Some(option) => Err(NotCovered::OfAnother {
                option: option.to_owned(),
                fstype: own,
            }),
            None => Ok(()),
        }
    }

    /// Keeps only the expectations that a mode's documentation covers.
    fn hold_to(&mut self, mode: &Mode) -> Result<(), NotCovered> {
        let guarantee = &mode.guarantee;
        match guarantee.covers {
            Covers::All => {}
            Covers::Posix => {
                // A control stays one: that nothing is promised is what it shows.
                if self.outcome == Declared::Holds && rests_on_names(self) {
                    self.outcome = Declared::Observed;
                }
            }
            Covers::NotFreshBlocks | Covers::Nothing => self.expect.retain(|expectation| {
                // What was acknowledged stays promised. Before that, a file that grows may show anything.
                expectation.after.is_some()
                    && !matches!(
                        expectation.check,
                        Check::NoForeignData { .. } | Check::NoOldData { .. }
                    )
                    || !expectation.check.on_path()
                    // It knows what the mode promises.
                    || matches!(expectation.check, Check::Auto { .. })
            }),
        }
        if guarantee.covers == Covers::Nothing {
            self.outcome = Declared::Observed;
        }
        if self.expect.iter().any(|expectation| expectation.check.on_path()) {
            Ok(())
        } else {
            Err(NotCovered::NoExpectation {
                says: guarantee.says,
                source_of: guarantee.source,
            })
        }
    }
}

impl Scenario {
    /// Puts the variants of this scenario into these modes of a filesystem; gives also what is left out, and why.
    pub fn in_modes<'m>(
        &self,
        fstype: FsType,
        modes: impl IntoIterator<Item = &'m Mode>,
    ) -> (Self, Vec<LeftOut>) {
        let modes: Vec<&Mode> = modes.into_iter().collect();
        let (mut variants, mut left_out) = (Vec::new(), Vec::new());
        for variant in &self.variants {
            for mode in &modes {
                match variant.in_mode(fstype, mode) {
                    Ok(variant) => variants.push(variant),
                    Err(why) => left_out.push(LeftOut {
                        variant: variant.name.clone(),
                        mode: mode.name,
                        why,
                    }),
                }
            }
        }
        let scenario = Self {
            variants,
            ..self.clone()
        };
        (scenario, left_out)
    }

    /// Finds the variant with this name, which may be `VARIANT@MODE`.
    pub fn find_variant(&self, name: &str) -> Option<Variant> {
        if let Some(variant) = self.variant(name) {
            return Some(variant.clone());
        }
        let (variant, name) = name.rsplit_once('@')?;
        let (fstype, mode) = mode(name)?;
        self.variant(variant)?.in_mode(fstype, mode).ok()
    }
}
