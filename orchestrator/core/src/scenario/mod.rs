//! Scenarios: YAML in, typed and checked variants out.
//!
//! The way of a text: `yaml` (values that know where they stand) → `shape` (what a file may say) → `resolve`
//! (variants put together), `filesystem`, `device`, `step`, `expect` (each part read, checked and lowered) →
//! [`model`] (what it means), of which [`facts`] knows what each operation does.

pub mod catalogue;
mod device;
mod expect;
pub mod facts;
mod filesystem;
pub mod measured;
pub mod model;
pub mod modes;
mod outcome;
mod programs;
mod resolve;
#[cfg(feature = "schema")]
mod schema;
mod shape;
mod step;
pub mod to_yaml;
mod yaml;

pub use crate::filesystem::FsType;
pub use model::{
    Accept, Action, AppliedMode, Captures, Check, DeviceAction, DeviceSpec, Dump, End, Expectation,
    Filesystem, FsSource, LinePattern, Moment, MountFlag, OtherDisk, Programs, Rootfs, Scenario, SizeRule,
    Step, Task, Variant, Verifier, Wanted, flatten,
};
#[cfg(feature = "schema")]
pub use schema::schema;
pub use yaml::error::{Problem, ScenarioErrors};
pub use yaml::names::{SAME, parse_path};
pub use yaml::units::{errno_name, parse_errno, parse_millis, parse_size, show_size};

impl Scenario {
    /// Reads and checks a scenario. `file_name` is only shown.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its place and what was expected.
    pub fn parse(file_name: &str, text: &str) -> Result<Self, ScenarioErrors> {
        let sink = yaml::error::Sink::default();
        let scenario = match yaml::node::Node::parse(text) {
            Ok(root) => resolve::resolve(text, &root, &sink),
            Err(problem) => {
                sink.push(problem);
                None
            }
        };
        match scenario {
            Some(scenario) if sink.is_empty() => Ok(scenario),
            _ => Err(sink.into_errors(file_name, text)),
        }
    }
}
