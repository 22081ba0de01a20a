//! Scenarios made up: random histories on a few files, with everything expected that their syncs promise.
//!
//! A model goes along with the history: which generation each byte of each file is of, which names there are, and what
//! of both was synced since. After fsync(2) or fdatasync(2) of a file its data and size are promised, after fsync of a
//! directory its names; a promise ends when a step begins that changes what it is about. Nothing is promised that no
//! sync was for. `collapse_range` and `insert_range` are left out: they move data, which says where it belongs by whole
//! sectors only, so that what a later write leaves of one could not be told from garbage. The idea of
//! bounded random workloads with crash points at their syncs is that of CrashMonkey and ACE (Mohan and others, Finding
//! crash-consistency bugs with bounded black-box crash testing, OSDI 2018).

mod dice;
mod history;
mod model;

use std::fmt::Write as _;

use history::History;

use crate::filesystem::FsType;

/// The scenario of a seed, as YAML: at least `steps` steps, and those that sync everything at the end. The same seed
/// and number give the same text.
pub fn generate(seed: u64, steps: usize) -> String {
    let mut history = History::new(seed);
    while history.len() < steps {
        history.go_on();
    }
    history.finish();
    let mut yaml = String::new();
    let _ = write!(
        yaml,
        "# yaml-language-server: $schema=../schema.json\nformat: 1\nname: random-{seed}\n\
         summary: A random history (seed {seed}, {steps} steps), and what its syncs promise.\n\
         reference: fsync(2), fdatasync(2), sync(2)\n\n\
         {}",
        FsType::first().small("32MiB")
    );
    history.write_to(&mut yaml);
    yaml.push_str("\nend: cut\noutcome: holds\n");
    yaml
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;
    use proptest::prelude::*;

    #[test]
    fn a_seed_is_a_scenario() {
        insta::assert_snapshot!(generate(1, 12));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn every_seed_is_a_valid_scenario(seed: u64, steps in 1usize..80) {
            let text = generate(seed, steps);
            let scenario = Scenario::parse("random.yaml", &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
            let [variant] = scenario.variants() else { panic!("one variant") };
            prop_assert!(variant.workload.len() >= steps);
            prop_assert_eq!(&text, &generate(seed, steps));
        }
    }
}
