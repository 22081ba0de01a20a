//! What a scenario's `crash` says.

use std::fmt;

#[cfg(feature = "schema")]
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::crash::state::PlanKind;

/// Which crash states to visit. In YAML the name of a plan, a list of names, `none`, or a map:
///
/// ```yaml
/// crash: {plan: [barriers, reorder], budget: 1000, seed: 7}
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CrashSpec {
    /// The plans, each visited once, in this order.
    pub plans: Vec<PlanKind>,
    /// At most so many states of each plan, spread evenly over the recording; of a complete plan, so many recoveries
    /// for all of its states, each cut in turn.
    pub budget: Option<u64>,
    /// At most so many seconds for the recoveries of a complete plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// How often recoveries are cut off again: what a recovery writes is logged, every state that its own cuts can leave is
    /// recovered, and so on. With a complete plan only.
    #[serde(skip_serializing_if = "no_recovery")]
    pub recovery: u32,
    /// At most so many states of `reorder`, of `torn` and of `combinations` at one cut.
    pub per_cut: u32,
    /// Seed of the samples that `reorder` and `combinations` draw.
    pub seed: u64,
    /// Marks or entries at which the plan `at` cuts.
    pub at: Vec<At>,
    /// Only cuts from the first mark to the second.
    pub between: Option<[String; 2]>,
    /// What discarded blocks may read as.
    pub discard: DiscardModel,
    /// Bytes at which writes may tear; the recording's own atomic unit unless given.
    pub atomic_unit: Option<u32>,
}

/// A place for the plan `at`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum At {
    /// Right after this entry of the log, from 0.
    Entry(u32),
    /// Right after this mark: a step's name, or a mark's whole text.
    Mark(String),
}

/// What the device promises about discarded blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum DiscardModel {
    /// They read as zeros.
    #[default]
    Zeros,
    /// They read as anything until they are rewritten: each state with a discard is visited with zeros, with the old
    /// content, and with garbage.
    Indeterminate,
}

/// The most states of one cut, when `per_cut` is not given.
const PER_CUT: u32 = 64;

impl Default for CrashSpec {
    fn default() -> Self {
        Self::of(PlanKind::Barriers)
    }
}

impl CrashSpec {
    /// No crash states: what is judged is what the kernel does while it runs.
    pub fn none() -> Self {
        Self {
            plans: Vec::new(),
            ..Self::default()
        }
    }

    /// Whether there are no crash states by intention.
    pub fn is_none(&self) -> bool {
        self.plans.is_empty()
    }

    /// One plan, without options.
    pub fn of(plan: PlanKind) -> Self {
        Self {
            plans: vec![plan],
            budget: None,
            seconds: None,
            recovery: 0,
            per_cut: PER_CUT,
            seed: 0,
            at: Vec::new(),
            between: None,
            discard: DiscardModel::Zeros,
            atomic_unit: None,
        }
    }
}

/// Times that recoveries may be cut off.
const MOST_RECOVERY: u32 = 4;

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde wants it
fn no_recovery(times: &u32) -> bool {
    *times == 0
}

/// No crash at all, in YAML.
const NONE: &str = "none";

/// The map form.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
struct SpecMap {
    #[serde(default)]
    plan: Option<Plans>,
    #[serde(default)]
    budget: Option<u64>,
    #[serde(default)]
    seconds: Option<u64>,
    #[serde(default)]
    recovery: u32,
    #[serde(default = "per_cut")]
    per_cut: u32,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    at: Vec<At>,
    #[serde(default)]
    between: Option<[String; 2]>,
    #[serde(default)]
    discard: DiscardModel,
    #[serde(default)]
    atomic_unit: Option<u32>,
}

fn per_cut() -> u32 {
    PER_CUT
}

impl TryFrom<SpecMap> for CrashSpec {
    type Error = String;

    fn try_from(map: SpecMap) -> Result<Self, String> {
        let mut plans = match map.plan {
            Some(plans) => plans.0,
            None if map.at.is_empty() => vec![PlanKind::Barriers],
            None => Vec::new(),
        };
        if !map.at.is_empty() && !plans.contains(&PlanKind::At) {
            plans.push(PlanKind::At);
        }
        if map.at.is_empty() && plans.contains(&PlanKind::At) {
            return Err("the plan `at` needs a list `at` of marks or entry numbers".into());
        }
        if map.budget == Some(0) || map.per_cut == 0 {
            return Err("a budget of 0 states judges nothing".into());
        }
        if map.seconds == Some(0) {
            return Err("0 seconds judge nothing".into());
        }
        if map.recovery > 0 && !plans.iter().any(|plan| plan.is_complete()) {
            return Err("`recovery` cuts recoveries off again with the plans `all` and `all-torn`; none of them is asked for".into());
        }
        if map.recovery > MOST_RECOVERY {
            return Err(format!(
                "recovery is {}; expected at most {MOST_RECOVERY}",
                map.recovery
            ));
        }
        if map.seconds.is_some() && !plans.iter().any(|plan| plan.is_complete()) {
            return Err("`seconds` bounds the plans `all` and `all-torn`; none of them is asked for".into());
        }
        if let Some(unit) = map.atomic_unit
            && !(unit.is_power_of_two() && (512..=1 << 30).contains(&unit))
        {
            return Err(format!(
                "atomic_unit is {unit}; expected a power of two from 512 on"
            ));
        }
        Ok(Self {
            plans,
            budget: map.budget,
            seconds: map.seconds,
            recovery: map.recovery,
            per_cut: map.per_cut,
            seed: map.seed,
            at: map.at,
            between: map.between,
            discard: map.discard,
            atomic_unit: map.atomic_unit,
        })
    }
}

/// A name or a list of names.
struct Plans(Vec<PlanKind>);

impl<'de> Deserialize<'de> for Plans {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlansVisitor).map(Self)
    }
}

fn plan_named<E: de::Error>(name: &str) -> Result<PlanKind, E> {
    PlanKind::deserialize(de::value::StrDeserializer::<E>::new(name))
}

fn distinct<E: de::Error>(plans: Vec<PlanKind>) -> Result<Vec<PlanKind>, E> {
    if plans.is_empty() {
        return Err(E::custom("a list of plans must not be empty"));
    }
    let mut sorted = plans.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() == plans.len() {
        Ok(plans)
    } else {
        Err(E::custom("a plan is named twice"))
    }
}

struct PlansVisitor;

impl<'de> Visitor<'de> for PlansVisitor {
    type Value = Vec<PlanKind>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a crash plan, or a list of names")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(vec![plan_named(name)?])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        distinct(Vec::deserialize(SeqAccessDeserializer::new(list))?)
    }
}

impl<'de> Deserialize<'de> for CrashSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SpecVisitor;

        impl<'de> Visitor<'de> for SpecVisitor {
            type Value = CrashSpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a crash plan's name, a list of names, or a map such as {plan: reorder, budget: 100}",
                )
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<CrashSpec, E> {
                if name == NONE {
                    return Ok(CrashSpec::none());
                }
                simple(vec![plan_named(name)?])
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<CrashSpec, A::Error> {
                simple(PlansVisitor.visit_seq(list)?)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<CrashSpec, A::Error> {
                let map = SpecMap::deserialize(MapAccessDeserializer::new(map))?;
                map.try_into().map_err(de::Error::custom)
            }
        }

        fn simple<E: de::Error>(plans: Vec<PlanKind>) -> Result<CrashSpec, E> {
            if plans.contains(&PlanKind::At) {
                return Err(E::custom("the plan `at` needs a list: {at: [MARK, …]}"));
            }
            Ok(CrashSpec {
                plans,
                ..CrashSpec::default()
            })
        }

        deserializer.deserialize_any(SpecVisitor)
    }
}

impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AtVisitor;

        impl Visitor<'_> for AtVisitor {
            type Value = At;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a mark, or the number of a log entry")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<At, E> {
                Ok(At::Mark(name.to_owned()))
            }

            fn visit_u64<E: de::Error>(self, entry: u64) -> Result<At, E> {
                u32::try_from(entry)
                    .map(At::Entry)
                    .map_err(|_| E::custom("no log has so many entries"))
            }

            fn visit_i64<E: de::Error>(self, entry: i64) -> Result<At, E> {
                u32::try_from(entry)
                    .map(At::Entry)
                    .map_err(|_| E::custom("entries are numbered from 0"))
            }
        }

        deserializer.deserialize_any(AtVisitor)
    }
}

#[cfg(feature = "schema")]
impl JsonSchema for Plans {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CrashPlans".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let plan = generator.subschema_for::<PlanKind>();
        json_schema!({"anyOf": [plan, {"type": "array", "items": plan, "minItems": 1, "uniqueItems": true}]})
    }
}

#[cfg(feature = "schema")]
impl JsonSchema for At {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CrashAt".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 0}]})
    }
}

#[cfg(feature = "schema")]
impl JsonSchema for CrashSpec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CrashSpec".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let plans = generator.subschema_for::<Plans>();
        let map = generator.subschema_for::<SpecMap>();
        json_schema!({
            "description": "Which crash states to visit: plans by name, or a map with options",
            "anyOf": [{ "const": NONE, "description": "No crash: only live checks are judged" }, plans, map],
        })
    }
}
