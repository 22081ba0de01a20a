//! A scenario in a mode.

use super::{Covers, Disk, Mode, modes};
use crate::outcome::verdict::Outcome;
use crate::scenario::{Check, FsSource, Scenario, Variant};

/// Why a variant is not run in a mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotCovered {
    /// Nothing that the scenario expects is about what was made durable.
    #[error("none of its expectations is promised ({source_of}): {says}")]
    NoExpectation {
        /// Why, in our words.
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
    /// This variant in a mode, named `VARIANT@MODE`: made and mounted so, and expecting what the mode promises. Where it
    /// promises nothing, what was made durable is expected and the outcome is only observed.
    ///
    /// # Errors
    /// [`NotCovered`].
    pub fn in_mode(&self, mode: &Mode) -> Result<Self, NotCovered> {
        if self.outcome != Outcome::Holds {
            return Err(NotCovered::Hazard);
        }
        let FsSource::Make { size, mkfs } = &self.filesystem.source else {
            return Err(NotCovered::Image);
        };
        let (says, source_of) = (mode.guarantee.says, mode.guarantee.source);
        let mut variant = self.clone();
        variant.name = format!("{}@{}", self.name, mode.name);
        variant.filesystem.source = FsSource::Make {
            size: *size,
            mkfs: options(mkfs, mode),
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
        match mode.guarantee.covers {
            Covers::All => {}
            Covers::NotFreshBlocks | Covers::Nothing => variant.expect.retain(|expectation| {
                // What was acknowledged stays promised. Before that, a file that grows may show anything.
                expectation.after.is_some()
                    && !matches!(
                        expectation.check,
                        Check::NoForeignData { .. } | Check::NoOldData { .. }
                    )
                    || !expectation.check.on_path()
            }),
        }
        if mode.guarantee.covers == Covers::Nothing {
            variant.outcome = Outcome::Observed;
        }
        if variant
            .expect
            .iter()
            .any(|expectation| expectation.check.on_path())
        {
            Ok(variant)
        } else {
            Err(NotCovered::NoExpectation { says, source_of })
        }
    }
}

impl Scenario {
    /// This scenario with its variants in these modes instead of their own, and what is left out.
    pub fn in_modes<'m>(&self, modes: impl IntoIterator<Item = &'m Mode>) -> (Self, Vec<LeftOut>) {
        let modes: Vec<&Mode> = modes.into_iter().collect();
        let (mut variants, mut left_out) = (Vec::new(), Vec::new());
        for variant in &self.variants {
            for mode in &modes {
                match variant.in_mode(mode) {
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

    /// The variant with this name, which may be `VARIANT@MODE`.
    pub fn find_variant(&self, name: &str) -> Option<Variant> {
        if let Some(variant) = self.variant(name) {
            return Some(variant.clone());
        }
        let (variant, mode) = name.rsplit_once('@')?;
        let variant = self.variant(variant)?;
        let mode = modes(variant.filesystem.fstype)
            .iter()
            .find(|known| known.name == mode)?;
        variant.in_mode(mode).ok()
    }
}

/// The scenario's options of mkfs and the mode's: features together, and of other options the mode's.
fn options(own: &[String], mode: &Mode) -> Vec<String> {
    let mut options: Vec<String> = Vec::new();
    let mut features: Vec<&str> = Vec::new();
    let mut own = own.iter().map(String::as_str).peekable();
    while let Some(option) = own.next() {
        let overruled = option != "-O" && mode.mkfs.contains(&option) || option == "-J" && !mode.journal;
        match option {
            "-O" => features.extend(own.next()),
            _ if overruled => drop(own.next()),
            _ => options.push(option.to_owned()),
        }
    }
    let mut theirs = mode.mkfs.iter();
    while let Some(option) = theirs.next() {
        match *option {
            "-O" => features.extend(theirs.next()),
            other => options.push(other.to_owned()),
        }
    }
    if !features.is_empty() {
        options.extend(["-O".to_owned(), features.join(",")]);
    }
    options
}
