//! The plans whose states are too many to list: every state of every cut.

use super::cuts::{self, Side};
use super::error::PlanError;
use super::spec::{CrashSpec, DiscardModel};
use super::states::Context;
use crate::crash::state::{CutModel, DiscardAs, PlanKind};
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
                let discards = self.discards_at(log, &context, cut).iter();
                discards.map(move |discard| {
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

    fn discards_at(&self, log: &WriteLog, context: &Context, cut: Cut) -> &'static [DiscardAs] {
        let moment = log.durability(cut);
        match self.discard {
            DiscardModel::Indeterminate if moment.is_some_and(|moment| context.has_discard(log, &moment)) => {
                &[DiscardAs::Zeros, DiscardAs::Kept, DiscardAs::Garbage]
            }
            _ => &[DiscardAs::Zeros],
        }
    }
}
