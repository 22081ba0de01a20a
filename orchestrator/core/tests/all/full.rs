//! A scenario with everything in it: what each line means.

use std::path::Path;

use coldcut_core::outcome::verdict::{Declared, ViolationKind};
use coldcut_core::scenario::{FsSource, Scenario, schema};

fn text() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/full.yaml");
    std::fs::read_to_string(path).expect("tests/full.yaml is there")
}

fn parse(text: &str) -> Scenario {
    Scenario::parse("full.yaml", text).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn every_line_means_what_it_says() {
    let scenario = parse(&text());
    let plain = scenario.variant("plain").expect("it is there");
    insta::assert_json_snapshot!("full", plain);
}

#[test]
fn variants_override_key_by_key() {
    let scenario = parse(&text());
    let [plain, elsewhere, kernels, image, bigger] = scenario.variants() else {
        panic!("five variants")
    };
    assert_eq!(image.filesystem.source, FsSource::Image("mine.img".to_owned()));
    assert_eq!(image.filesystem.mount, "data=ordered,commit=1");
    assert_eq!(image.filesystem.flags, plain.filesystem.flags);
    let FsSource::Make { size, mkfs } = &bigger.filesystem.source else {
        panic!("made")
    };
    assert_eq!((*size, mkfs.len()), (1 << 30, 2));
    assert_eq!(bigger.summary, "More room");
    let on = |release| kernels.outcome.on(release, "4.19.0").map(|o| format!("{o:?}"));
    assert_eq!(on("5.10.0-36-amd64").as_deref(), Some("Holds"));
    assert_eq!(on("6.12.57+deb13").as_deref(), Some("Violates([OldData, Zeros])"));
    assert_eq!(on("7.3.1").as_deref(), Some("Violates([Garbage])"));
    assert_eq!(on("6.6.1"), None);
    assert_eq!(plain.recover_on, ["same", "5.10", "newest:full"]);
    assert_eq!(elsewhere.recover_on, [""; 0]);
    let on = |recorded, recovered| elsewhere.outcome.on(recorded, recovered);
    assert_eq!(on("5.10.1", "6.1.9"), Some(&Declared::Holds));
    assert_eq!(
        on("5.10.1", "6.12.1"),
        Some(&Declared::Violates(vec![ViolationKind::Mount]))
    );
    assert_eq!(on("6.12.1", "6.1.9"), Some(&Declared::Holds));
    assert_eq!(plain.device.bandwidth, Some(100 << 20));
    assert_eq!(bigger.device.bandwidth, None);
    assert_eq!((bigger.device.latency_ms, bigger.device.write_cache), (1, false));
    assert_eq!(bigger.workload, plain.workload);
}

#[test]
fn contents_come_in_the_order_of_their_writing() {
    let scenario = parse(&text());
    let contents = scenario.variants()[0].patterns();
    let names: Vec<String> = contents.iter().map(coldcut_wire::pattern::label).collect();
    assert_eq!(names, ["a@0", "a@1", "log@0", "log@1", "v@0", "log@2"]);
}

#[test]
fn the_digest_sees_meaning_only() {
    let text = text();
    let digest = parse(&text).digest();
    let commented = text.replace("name: full\n", "name: 'full' # the same\n\n");
    assert_ne!(commented, text);
    assert_eq!(parse(&commented).digest(), digest);
    let other = text.replace("size: 1MiB", "size: 2MiB");
    assert_ne!(other, text);
    assert_ne!(parse(&other).digest(), digest);
}

/// The schema's steps and expectations, each of which the file must have.
#[test]
fn nothing_is_left_out() {
    let text = text();
    let schema: serde_json::Value = serde_json::from_str(&schema()).expect("JSON");
    let definitions = &schema["definitions"];
    let step = &definitions["Step"]["anyOf"][0]["properties"];
    let expectation = &definitions["Expectation"]["anyOf"][0]["properties"];
    let mut seen = 0;
    for entry in [step, expectation] {
        for name in entry.as_object().expect("properties").keys() {
            let (first, beside) = (format!("  - {name}"), format!("    {name}:"));
            assert!(text.contains(&first) || text.contains(&beside), "no {name}");
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen}");
}

/// A text cut anywhere, or with a byte changed, is read or refused, never a panic.
#[test]
fn damaged_texts_do_not_panic() {
    let text = text();
    let mut refused = 0;
    for at in (0..text.len())
        .step_by(31)
        .filter(|at| text.is_char_boundary(*at))
    {
        for damaged in [
            text[..at].to_owned(),
            format!("{}}}{}", &text[..at], &text[at..]),
            {
                let (before, after) = text.split_at(at);
                format!("{before}: é{after}")
            },
        ] {
            if let Err(errors) = Scenario::parse("damaged.yaml", &damaged) {
                assert!(!errors.to_string().is_empty());
                refused += 1;
            }
        }
    }
    assert!(refused > 100, "{refused}");
}
