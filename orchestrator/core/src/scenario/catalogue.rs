//! What each step measures.

use super::facts;
use super::measured::{Unit, Yield};
use super::model::Action;

/// Everything that a step yields, by name. Every step has `time` (spent in its system calls), `ret` (what the last one
/// returned) and `errno` (0: it succeeded).
pub fn items(action: &Action) -> Vec<(String, Yield)> {
    use Yield::Figure;
    let mut items = vec![
        ("time".to_owned(), Figure(Unit::Nanos)),
        ("ret".to_owned(), Figure(Unit::Count)),
        ("errno".to_owned(), Figure(Unit::Errno)),
    ];
    if let Action::Op(op) = action {
        items.extend(facts::measures(op));
    }
    items
}
