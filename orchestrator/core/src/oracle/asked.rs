//! What programs are asked of what was recovered.

use crate::crash::index::Digest;

/// What the programs of a variant are asked about at a cut. A state's answers are to this, not to its content alone: two
/// states with the same content and other acknowledgements are asked each for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Which entries of the `expect` list ask theirs here, from 0.
    pub verifiers: Vec<usize>,
    /// Lines that were acknowledged before the cut, each once, in their order.
    pub acknowledged: Vec<String>,
    /// Lines that may have been begun: those that were acknowledged later, of steps that had begun.
    pub begun: Vec<String>,
    /// Whether more may have been begun: a step was still running when the recording ended.
    pub open: bool,
}

impl Asked {
    /// What tells this question from others.
    pub fn digest(&self) -> Digest {
        let mut hasher = blake3::Hasher::new_derive_key("coldcut asked programs 1");
        let mut number = |number: usize| {
            hasher.update(&(number as u64).to_le_bytes());
        };
        number(self.verifiers.len());
        self.verifiers.iter().for_each(|index| number(*index));
        number(usize::from(self.open));
        for lines in [&self.acknowledged, &self.begun] {
            hasher.update(&(lines.len() as u64).to_le_bytes());
            for line in lines {
                hasher.update(&(line.len() as u64).to_le_bytes());
                hasher.update(line.as_bytes());
            }
        }
        let mut first = [0; 16];
        first.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Digest(first)
    }
}
