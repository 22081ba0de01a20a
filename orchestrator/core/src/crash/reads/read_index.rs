//! Finding the recovery that answers for a state.

use std::collections::HashMap;

use super::{BlockDigest, BlockRead, Place};

/// Where a walk from the root may be: what was read until here is the same, and what comes next is one of these.
#[derive(Clone, Debug, Default)]
struct Node {
    /// The places that are read next, with what follows each of their contents. A recovery that is a function of what it
    /// reads has one; two appear where the order of reads is not always the same.
    next: Vec<(Place, HashMap<BlockDigest, u32>)>,
    /// The recovery that reads nothing more.
    recovery: Option<u32>,
}

/// The recoveries of one kernel, mount and set of questions, by what they read.
///
/// It is a tree of decisions: which block is read next follows from what was read before, and what it holds says where to
/// go on. So looking a state up takes one step for each block that the recovery which answers for it read, however
/// many recoveries there are.
#[derive(Clone, Debug)]
pub struct ReadIndex {
    nodes: Vec<Node>,
    most: usize,
}

impl ReadIndex {
    /// An empty index that keeps at most so many nodes: one for each block that recoveries read, where they differ. A node takes
    /// some 150 bytes.
    pub fn new(most: usize) -> Self {
        Self {
            nodes: vec![Node::default()],
            most,
        }
    }

    /// Adds a recovery. False when there is no room for it, or another is known that read the same.
    pub fn insert(&mut self, reads: &[BlockRead], recovery: u32) -> bool {
        if self.nodes.len() + reads.len() > self.most {
            return false;
        }
        let mut at = 0;
        for read in reads {
            let fresh = self.nodes.len() as u32;
            let node = &mut self.nodes[at as usize];
            let known = node.next.iter().position(|(place, _)| *place == read.place());
            let index = known.unwrap_or_else(|| {
                node.next.push((read.place(), HashMap::new()));
                node.next.len() - 1
            });
            at = *node.next[index].1.entry(read.digest).or_insert(fresh);
            if at == fresh {
                self.nodes.push(Node::default());
            }
        }
        let end = &mut self.nodes[at as usize].recovery;
        let free = end.is_none();
        end.get_or_insert(recovery);
        free
    }

    /// A recovery that read nothing but what the state holds; `digest` says what it holds.
    ///
    /// # Errors
    /// The first of `digest`.
    pub fn find<E>(&self, mut digest: impl FnMut(Place) -> Result<BlockDigest, E>) -> Result<Option<u32>, E> {
        let mut left = vec![0];
        while let Some(at) = left.pop() {
            let node = &self.nodes[at as usize];
            if node.recovery.is_some() {
                return Ok(node.recovery);
            }
            for (place, contents) in &node.next {
                left.extend(contents.get(&digest(*place)?).copied());
            }
        }
        Ok(None)
    }

    /// How many nodes it has.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }
}
