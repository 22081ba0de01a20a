//! Steps about the guest as a whole.

use coldcut_wire::{Op, op};
#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::Deserialize;

use super::bounds::bounded;
use crate::scenario::yaml::at::At;
use crate::scenario::yaml::error::{Lowered, Problem};
use crate::scenario::yaml::units::Millis;

pub(super) fn sleep(how_long: &At<Millis>) -> Lowered<Op> {
    let millis = bounded(how_long)?;
    Ok(Op::Sleep(op::Sleep { millis }))
}

pub(super) fn drop_caches(what: &At<u8>) -> Lowered<Op> {
    if !(1..=3).contains(&what.value) {
        let message = format!(
            "expected 1 (page cache), 2 (slab) or 3 (both), found {}",
            what.value
        );
        return Err(Problem::new(&what.span, message).into());
    }
    Ok(Op::DropCaches(op::DropCaches { what: what.value }))
}

/// Options of `sysctl`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct SysctlShape {
    /// Name with dots, such as `vm.dirty_bytes`.
    name: At<String>,
    /// Value.
    #[cfg_attr(feature = "schema", schemars(with = "crate::scenario::yaml::schema::Scalar"))]
    value: String,
}

impl SysctlShape {
    pub(super) fn lower(&self) -> Lowered<Op> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let name = &self.name.value;
        if name.is_empty() || !name.chars().all(fits) || name.split('.').any(str::is_empty) {
            let message = format!("expected a parameter such as `vm.dirty_bytes`, found `{name}`");
            return Err(Problem::new(&self.name.span, message).into());
        }
        Ok(Op::Sysctl(op::Sysctl {
            name: name.clone(),
            value: self.value.clone(),
        }))
    }
}
