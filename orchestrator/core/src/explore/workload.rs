//! A workload: what is there at first, and what is done.

use coldcut_wire::Op;

use super::change::Kind;
use crate::filesystem::FsType;
use crate::scenario::show_size;
use crate::scenario::to_yaml::{Document, NotWritten, op};

/// Bytes of the disk, where the filesystem can be so small.
const DISK: u64 = 32 << 20;

/// A workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Its operations, in order.
    pub kinds: Vec<Kind>,
    /// Steps made durable before the recording.
    pub setup: Vec<Op>,
    /// Steps that are recorded.
    pub steps: Vec<Op>,
}

impl Workload {
    /// Its name: its operations, and digits that follow from its steps alone. The same workload has the same name in other
    /// bounds.
    pub fn id(&self) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("coldcut explore workload 1");
        for (part, steps) in [("setup", &self.setup), ("steps", &self.steps)] {
            hasher.update(part.as_bytes());
            for step in steps {
                hasher.update(format!("{step:?}\n").as_bytes());
            }
        }
        let digits = &hasher.finalize().to_hex()[..12];
        let kinds: Vec<&str> = self.kinds.iter().map(|kind| kind.short()).collect();
        format!("{}-{digits}", kinds.join("-"))
    }

    /// The workload as a scenario on a filesystem of this type, to be judged in every state that a cut can leave.
    ///
    /// # Errors
    /// [`NotWritten`]: none, as long as all its steps are written.
    pub fn document(&self, fstype: FsType) -> Result<Document, NotWritten> {
        let written = |steps: &[Op]| steps.iter().map(op).collect::<Result<Vec<_>, _>>();
        let kinds: Vec<&str> = self.kinds.iter().map(|kind| kind.short()).collect();
        Ok(Document {
            comments: Vec::new(),
            name: self.id(),
            summary: format!("Explored: {}.", kinds.join(", ")),
            reference: String::new(),
            filesystem: fstype.small(&show_size(DISK.max(fstype.min_size))),
            setup: written(&self.setup)?,
            workload: written(&self.steps)?,
            crash: "all".to_owned(),
            end: "cut".to_owned(),
            expect: vec!["auto".to_owned()],
            outcome: "holds".to_owned(),
        })
    }
}
