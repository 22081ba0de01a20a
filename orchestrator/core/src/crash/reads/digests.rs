//! What blocks of crash states hold, each content computed once.

use std::collections::HashMap;
use std::io;

use super::{BlockDigest, Place};
use crate::crash::index::{BLOCK, Origins, Sources, StateView};

/// Digests of the blocks of one recording's states. A block holds few things in all the states of a recording: where its
/// bytes come from says which, and for that nothing is read.
#[derive(Clone, Debug)]
pub struct Digests {
    known: HashMap<(Place, Origins), BlockDigest>,
    most: usize,
}

impl Digests {
    /// Keeps at most so many digests, of some 200 bytes each; beyond that they are computed anew.
    pub fn new(most: usize) -> Self {
        Self {
            known: HashMap::new(),
            most,
        }
    }

    /// The digest of a place of a state. A last block that the device cuts off is as long as the device has it.
    ///
    /// # Errors
    /// As the sources say.
    pub fn digest(
        &mut self,
        view: &StateView<'_>,
        sources: &Sources,
        place: Place,
    ) -> io::Result<BlockDigest> {
        let block = place.block;
        let key = (place, view.origins(block).only(place.sectors));
        if let Some(known) = self.known.get(&key) {
            return Ok(*known);
        }
        let mut bytes = [0; BLOCK as usize];
        let len = BLOCK.min(sources.base.size().saturating_sub(block * BLOCK)) as usize;
        view.read_at(sources, block * BLOCK, &mut bytes[..len])?;
        let digest = BlockDigest::of_sectors(&bytes[..len], place.sectors);
        if self.known.len() < self.most {
            self.known.insert(key, digest);
        }
        Ok(digest)
    }
}
