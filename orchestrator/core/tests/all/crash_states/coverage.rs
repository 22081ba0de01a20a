//! The random logs that the other tests use do reach the cases that matter.

use super::naive;
use std::sync::Arc;

use coldcut_core::covered::Case;
use coldcut_core::crash::index::{BlockIndex, Sources};
use coldcut_core::crash::plan::CrashSpec;
use coldcut_core::crash::state::PlanKind;
use coldcut_core::recording::block::ReadAt;
use coldcut_core::recording::log::{LoadOptions, WriteLog};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

#[test]
fn random_logs_reach_every_case() {
    let mut runner = TestRunner::deterministic();
    let spec = CrashSpec {
        plans: vec![
            PlanKind::Barriers,
            PlanKind::Reorder,
            PlanKind::Torn,
            PlanKind::Combinations,
        ],
        atomic_unit: Some(512),
        ..CrashSpec::default()
    };
    for _ in 0..100 {
        let script = naive::scripts(60).new_tree(&mut runner).unwrap().current();
        let (log, sidecar) = script.record(true);
        let loaded = WriteLog::load(&log, Some(&sidecar), &LoadOptions::default()).unwrap();
        let index = Arc::new(BlockIndex::build(Arc::new(loaded.log)));
        let sources = Sources {
            base: Arc::new(script.base.clone()),
            log: Arc::new(log),
            sidecar: Some(Arc::new(sidecar)),
        };
        for state in spec.states(index.log()).unwrap() {
            let image = index.image(&state, &sources).unwrap();
            let mut content = vec![0; image.size() as usize];
            image.read_at(0, &mut content).unwrap();
        }
    }
    for case in Case::ALL {
        assert!(case.hits() > 0, "no log reached {case:?}");
    }
}
