//! The plans whose states are too many to list: every state of every cut.

use super::cuts::{self, Side};
use super::error::PlanError;
use super::spec::CrashSpec;
use super::states::Context;
use crate::crash::state::{CutModel, PlanKind};
use crate::recording::log::{Cut, WriteLog};

/// A complete plan on a log: where it cuts, and what each cut may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complete {
    /// `all` or `all-torn`.
    pub plan: PlanKind,
    /// The cuts, each with what it may do; a cut stands here once for each thing that discarded blocks may read as.
    pub cuts: Vec<(Cut, CutModel)>,
}

impl CrashSpec {
    /// The complete plans that this asks for.
    ///
    /// # Errors
    /// As [`CrashSpec::states`].
    pub fn complete(&self, log: &WriteLog) -> Result<Vec<Complete>, PlanError> {
        let (first, last) = cuts::window(log, self)?;
        let context = Context::new(log);
        let complete = |plan: PlanKind| {
            let tearing =
                (plan == PlanKind::AllTorn).then_some(self.atomic_unit.unwrap_or(log.geometry().atomic_unit));
            let cuts = cuts::barriers(log, Side::Before).into_iter();
            let cuts = cuts.filter(|cut| (first..=last).contains(cut)).flat_map(|cut| {
                let moment = log.durability(cut);
                let discards = moment.map_or(&[][..], |moment| context.discards(self.discard, log, &moment));
                discards.iter().map(move |discard| {
                    let discard = *discard;
                    (cut, CutModel { tearing, discard })
                })
            });
            Complete {
                plan,
                cuts: cuts.collect(),
            }
        };
        let plans = self.plans.iter().copied();
        Ok(plans.filter(|plan| plan.is_complete()).map(complete).collect())
    }
}
