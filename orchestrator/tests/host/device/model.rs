//! Random requests against a plain vector of bytes.

use coldcut_core::recording::io::IoKind;
use proptest::prelude::*;

use super::rig::{Event, Rig, noise, replay, whole};

/// Two groups of 2 MiB and a piece of a third, with a last block that is cut short.
const SIZE: u64 = (4 << 20) + 1536;

#[derive(Clone, Debug)]
enum Step {
    Read(u64, u64),
    Write(u64, u64, bool),
    WriteOfZeros(u64, u64),
    Zero(u64, u64, bool),
    Trim(u64, u64, bool),
    Flush,
    Freeze,
}

/// Ranges in bytes: short ones anywhere, short ones around the borders of groups and at the end, long ones.
fn range() -> impl Strategy<Value = (u64, u64)> {
    let sectors = SIZE / 512;
    let start = prop_oneof![0..sectors, 4080..4112u64, 8170..sectors, Just(0), Just(4096)];
    let len = prop_oneof![4 => 1..40u64, 2 => Just(8), 1 => 1..9000u64];
    (start, len).prop_map(move |(start, len)| (start * 512, len.min(sectors - start) * 512))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => range().prop_map(|(offset, len)| Step::Read(offset, len)),
        4 => (range(), any::<bool>()).prop_map(|((offset, len), fua)| Step::Write(offset, len, fua)),
        1 => range().prop_map(|(offset, len)| Step::WriteOfZeros(offset, len)),
        2 => (range(), any::<bool>()).prop_map(|((offset, len), fua)| Step::Zero(offset, len, fua)),
        2 => (range(), any::<bool>()).prop_map(|((offset, len), fua)| Step::Trim(offset, len, fua)),
        1 => Just(Step::Flush),
        1 => Just(Step::Freeze),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_device_is_a_vector_of_bytes(steps in proptest::collection::vec(step(), 1..60)) {
        let base = noise(3, SIZE as usize);
        let rig = Rig::new(base.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (recording, log) = runtime.block_on(rig.record());
        let mut client = rig.client();
        let mut model = base.clone();
        let mut frozen = Vec::new();
        let mut changes = 0;
        for (seed, step) in steps.iter().enumerate() {
            let at = |offset: &u64, len: &u64| *offset as usize..(offset + len) as usize;
            match step {
                Step::Read(offset, len) => {
                    let mut found = vec![0; *len as usize];
                    client.read(*offset, &mut found).expect("a read");
                    prop_assert!(found == model[at(offset, len)], "{step:?} after {:?}", &steps[..seed]);
                    continue;
                }
                Step::Write(offset, len, fua) => {
                    let data = noise(seed as u64 + 10, *len as usize);
                    client.write(*offset, &data, *fua).expect("a write");
                    model[at(offset, len)].copy_from_slice(&data);
                }
                Step::WriteOfZeros(offset, len) => {
                    client.write(*offset, &vec![0; *len as usize], false).expect("a write");
                    model[at(offset, len)].fill(0);
                }
                Step::Zero(offset, len, fua) => {
                    client.write_zeroes(*offset, *len as u32, *fua).expect("zeros");
                    model[at(offset, len)].fill(0);
                }
                Step::Trim(offset, len, fua) => {
                    client.trim(*offset, *len as u32, *fua).expect("a trim");
                    model[at(offset, len)].fill(0);
                }
                Step::Flush => client.flush().expect("a flush"),
                Step::Freeze => {
                    frozen.push((rig.handle.freeze().expect("an image"), model.clone()));
                    continue;
                }
            }
            changes += 1;
        }
        let (_, content) = recording.end().expect("the log");
        prop_assert!(whole(&content) == model, "the content differs after {steps:?}");
        for (image, expected) in frozen {
            prop_assert!(whole(&image) == expected, "a frozen image changed: {steps:?}");
        }
        let events = log.events();
        let mut replayed = base;
        replay(&events, &mut replayed);
        prop_assert!(replayed == model, "the log does not explain the content: {steps:?}");
        prop_assert_eq!(events.len(), changes * 2);
        let flushes = steps.iter().filter(|step| matches!(step, Step::Flush)).count();
        let logged = events.iter().filter(|event| matches!(event, Event::Submit(_, io, _) if io.kind == IoKind::Flush));
        prop_assert_eq!(logged.count(), flushes);
    }
}
