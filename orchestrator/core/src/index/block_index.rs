//! Version lists: which requests touched a block, in completion order.

use std::ops::Range;
use std::sync::Arc;

use crate::io::IoKind;
use crate::log::WriteLog;

/// Bytes of a block.
pub const BLOCK: u64 = 4096;

/// A node of one level covers 16 of the level below; level 0 is a block.
const RADIX_BITS: u32 = 4;
/// 4 KiB to 4 EiB.
const LEVELS: u32 = 15;

/// For each part of the device, the requests that touched it.
///
/// A request's range is cut into aligned nodes of a tree with 16 children a node, as in a segment tree, so that a
/// discard of a whole device is a handful of list entries and not one for each block. A block's history is the merger
/// of the lists of its ancestors, of which there are few that are not empty. Memory: 4 bytes for each node that a
/// request covers (one for an aligned 4 KiB write), and 12 for each node that is covered at all.
#[derive(Clone, Debug)]
pub struct BlockIndex {
    log: Arc<WriteLog>,
    /// Covered nodes: level in the top 4 bits, the node's number below; sorted.
    nodes: Vec<u64>,
    /// Where each node's list starts in `versions`; one more at the end.
    starts: Vec<u32>,
    /// Completed requests, ascending for each node.
    versions: Vec<u32>,
    /// For each level, where its nodes start; one more at the end.
    levels: Vec<u32>,
    /// Completed requests with FUA.
    fua: Vec<u32>,
}

impl BlockIndex {
    /// Indexes a log. Reads no data.
    pub fn build(log: Arc<WriteLog>) -> Self {
        let writes = || {
            (0..log.completed_count())
                .map(|id| (id, log.record(id)))
                .filter(|(_, record)| record.kind != IoKind::Flush && record.len > 0)
        };
        let mut count = 0;
        for (_, record) in writes() {
            for_each_node(record.offset, record.end(), |_| count += 1);
        }
        let mut pairs = Vec::with_capacity(count);
        for (id, record) in writes() {
            for_each_node(record.offset, record.end(), |node| pairs.push((node, id)));
        }
        pairs.sort_unstable();
        let distinct = pairs.chunk_by(|one, other| one.0 == other.0).count();
        let mut nodes = Vec::with_capacity(distinct);
        let mut starts = Vec::with_capacity(distinct + 1);
        let mut versions = Vec::with_capacity(pairs.len());
        for list in pairs.chunk_by(|one, other| one.0 == other.0) {
            nodes.push(list[0].0);
            starts.push(versions.len() as u32);
            versions.extend(list.iter().map(|(_, id)| *id));
        }
        starts.push(versions.len() as u32);
        let levels = (0..=LEVELS)
            .map(|level| nodes.partition_point(|node| node >> 60 < u64::from(level)) as u32)
            .collect();
        let fua = writes()
            .filter(|(_, record)| record.fua)
            .map(|(id, _)| id)
            .collect();
        Self {
            log,
            nodes,
            starts,
            versions,
            levels,
            fua,
        }
    }

    /// The log that is indexed.
    pub fn log(&self) -> &Arc<WriteLog> {
        &self.log
    }

    /// Bytes of memory that the index holds, the log's own not counted.
    pub fn memory(&self) -> usize {
        self.nodes.capacity() * 8
            + (self.starts.capacity()
                + self.versions.capacity()
                + self.levels.capacity()
                + self.fua.capacity())
                * 4
    }

    /// The lists of a block's ancestors that are not empty.
    pub(crate) fn lists(&self, block: u64) -> impl Iterator<Item = &[u32]> {
        (0..LEVELS).filter_map(move |level| {
            let range = self.levels[level as usize] as usize..self.levels[level as usize + 1] as usize;
            if range.is_empty() {
                return None;
            }
            let node = node(level, block);
            let place = range.start + self.nodes[range].binary_search(&node).ok()?;
            Some(&self.versions[self.starts[place] as usize..self.starts[place + 1] as usize])
        })
    }

    /// The first range of blocks, from `block` on, that some completed request touched.
    pub(crate) fn next_touched(&self, block: u64) -> Option<Range<u64>> {
        (0..LEVELS)
            .filter_map(|level| {
                let range = self.levels[level as usize] as usize..self.levels[level as usize + 1] as usize;
                let nodes = &self.nodes[range];
                let found = *nodes.get(nodes.partition_point(|other| *other < node(level, block)))?;
                let first = (found & NUMBER) << (RADIX_BITS * level);
                Some(first.max(block)..first + (1 << (RADIX_BITS * level)))
            })
            .min_by_key(|blocks| blocks.start)
    }

    /// Whether any request in this range of ids has FUA.
    pub(crate) fn any_fua(&self, from: u32, to: u32) -> bool {
        let first = self.fua.partition_point(|id| *id < from);
        self.fua.get(first).is_some_and(|id| *id < to)
    }
}

/// A node's number within its level.
const NUMBER: u64 = (1 << 60) - 1;

fn node(level: u32, block: u64) -> u64 {
    u64::from(level) << 60 | block >> (RADIX_BITS * level)
}

/// The nodes that cover a range of bytes, outwards rounded to blocks.
fn for_each_node(offset: u64, end: u64, mut each: impl FnMut(u64)) {
    let mut block = offset / BLOCK;
    let last = end.div_ceil(BLOCK);
    while block < last {
        let aligned = (block.trailing_zeros() / RADIX_BITS).min(LEVELS - 1);
        let fitting = (last - block).ilog2() / RADIX_BITS;
        let level = aligned.min(fitting);
        each(node(level, block));
        block += 1 << (RADIX_BITS * level);
    }
}
