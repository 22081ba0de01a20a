//! Every file in `tests/bad` is refused, and its errors read as its snapshot says.

use std::fs;
use std::path::Path;

use coldcut_core::scenario::Scenario;

#[test]
fn bad_scenarios_are_explained() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad");
    let listed = fs::read_dir(directory).expect("tests/bad is there");
    let mut files: Vec<_> = listed
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    files.sort();
    assert!(files.len() >= 40, "{} files", files.len());
    for file in files {
        let stem = file
            .file_stem()
            .and_then(|s| s.to_str())
            .expect("UTF-8 names")
            .to_owned();
        let text = fs::read_to_string(&file).expect("it can be read");
        let errors = Scenario::parse(&format!("{stem}.yaml"), &text)
            .err()
            .unwrap_or_else(|| panic!("{stem} is accepted"));
        assert!(!errors.problems.is_empty(), "{stem}: refused without a reason");
        insta::with_settings!({ snapshot_path => "../bad", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(stem, errors.to_string());
        });
    }
}
