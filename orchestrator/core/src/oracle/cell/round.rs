//! A round: images that are recovered one after the other, or side by side.

use std::collections::BTreeSet;

use crate::outcome::recovery::Trust;

/// Images that are to be recovered next, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// Who recovers them.
    pub trust: Trust,
    /// Their indices; at least one.
    pub images: BTreeSet<usize>,
}

impl Round {
    /// A round of these images; `None` where there are none.
    pub(super) fn of(trust: Trust, images: BTreeSet<usize>) -> Option<Self> {
        (!images.is_empty()).then_some(Self { trust, images })
    }
}
