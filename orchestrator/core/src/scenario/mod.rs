//! Scenarios: YAML in, typed and checked variants out.
//!
//! The way of a text: [`node`] (YAML with places) → [`doc`], [`step_doc`], [`expect_doc`] (its shape, read through
//! [`de`]) → [`resolve`] (variants put together), [`filesystem`], [`steps`], [`expects`] (each part checked and
//! lowered) → [`model`] (what it means). Whatever is wrong goes to one sink and is shown at once by [`error`].

mod args;
mod at;
mod check_model;
mod contents;
mod de;
mod device_doc;
mod device_model;
mod device_steps;
mod doc;
mod entry;
mod error;
mod exec_step;
mod expect_doc;
mod expects;
mod filesystem;
mod live;
mod live_doc;
pub mod measured;
mod model;
pub mod modes;
mod names;
mod node;
mod outcome;
mod resolve;
#[cfg(feature = "schema")]
mod schema;
mod step_doc;
mod step_live_doc;
mod steps;
mod steps_live;
mod tagged;
mod tasks;
mod units;

pub use crate::filesystem::FsType;
pub use error::{Problem, ScenarioErrors};
pub use model::{
    Accept, Action, AppliedMode, Check, DeviceAction, DeviceSpec, End, Expectation, Filesystem, FsSource,
    Moment, MountFlag, Programs, Scenario, SizeRule, Step, Task, Variant, Wanted, flatten,
};
pub use names::{SAME, parse_path};
#[cfg(feature = "schema")]
pub use schema::schema;
pub use units::{errno_name, parse_errno, parse_millis, parse_size, show_size};

impl Scenario {
    /// Reads and checks a scenario. `file_name` is only shown.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its place and what was expected.
    pub fn parse(file_name: &str, text: &str) -> Result<Self, ScenarioErrors> {
        let sink = error::Sink::default();
        let scenario = match node::Node::parse(text) {
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
