//! The page about a run.

use coldcut::report::{Summary, render_html};
use coldcut_core::outcome::result::CellRef;
use coldcut_core::outcome::verdict::{Declared, Verdict};

use super::reports::{cell_ref, hazard, result, violates};

/// What a guest or a kernel could say to get into the page.
const HOSTILE: &str = "</template></script><script>alert(1)</script> &lt;b> \u{1b}[31m\"'";

fn page() -> String {
    let unknown = Verdict::Inconclusive {
        cause: HOSTILE.into(),
    };
    let mut noted = result(cell_ref("hazard", "6.1"), &hazard(), violates());
    noted.notes = vec![HOSTILE.into()];
    noted.violations[0].evidence = HOSTILE.into();
    noted.mount = HOSTILE.into();
    let cells = vec![
        result(cell_ref("control", "6.1"), &Declared::Holds, Verdict::Pass),
        result(cell_ref("control", "6.12"), &Declared::Holds, violates()),
        noted,
        result(cell_ref("hazard", "6.12"), &hazard(), unknown),
    ];
    let mut planned: Vec<CellRef> = cells.iter().map(|cell| cell.cell.clone()).collect();
    planned.push(cell_ref("race", "6.12"));
    render_html(&Summary::new("20261122-170000-abcd", &planned, cells))
}

#[test]
fn a_page_has_every_cell_and_says_what_is_missing() {
    let page = page();
    assert_eq!(page.matches("<template ").count(), 4);
    assert!(page.contains("<b>1 cells are not finished.</b>"), "{page}");
    for (number, id) in ["control.6.1", "control.6.12", "hazard.6.1", "hazard.6.12"]
        .into_iter()
        .enumerate()
    {
        let button = format!("data-cell=\"{number}\" title=\"rename.{id}\"");
        let behind = format!("<template id=\"c{number}\" data-id=\"rename.{id}\">");
        assert!(page.contains(&button) && page.contains(&behind), "{id}");
    }
    for (class, count) in [("bad", 1), ("unknown", 1), ("good", 2)] {
        let total = format!("<li class=\"{class}\"><b>{count}</b>");
        assert!(page.contains(&total), "{total}");
        let squares = format!("<td class=\"{class}\"><button");
        assert_eq!(page.matches(&squares).count(), count, "{squares}");
    }
    assert!(page.contains("coldcut replay 20261122-170000-abcd/rename.control.6.12/b28-d --raw state.img"));
}

#[test]
fn a_page_stands_alone() {
    let page = page();
    for word in ["http:", "https:", " src=", "@import", "url("] {
        assert!(!page.contains(word), "{word}");
    }
    let links: Vec<&str> = page.split(" href=").skip(1).collect();
    assert!(
        links.iter().all(|link| link.starts_with("\"data:,\"")),
        "{links:?}"
    );
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn what_a_guest_says_is_text() {
    let page = page();
    assert!(!page.contains("alert(1)</script>"), "{page}");
    assert_eq!(page.matches("<script>").count(), 1);
    assert_eq!(page.matches("</template>").count(), 4);
    assert!(page.matches("alert(1)").count() >= 4, "it is shown");
    assert!(!page.contains('\u{1b}') && page.contains("\\u{1b}[31m"), "{page}");
}
